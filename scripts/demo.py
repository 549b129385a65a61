"""The demo: a real 135M-parameter model, a real worker, a short conversation on the console.

Everything runs on this machine and is gone at the end. In a terminal the conversation stays open to type at.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

MESSAGES = (
    "evaluate smollm2 on sample_qa, only the en subset, first 12 questions",
    "用 sample_mcq 评测 smollm2，只用 zh 子集，前 4 条",
    "which benchmarks test math in Chinese?",
)
CONFIG = """\
[models.smollm2]
model = "smollm2-135m"
api_url = "{url}"
generation_config = {{ temperature = 0, max_tokens = 48 }}

[defaults]
model = "smollm2"
"""


def main() -> int:
    """Hold the conversation; return its exit status."""
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("model_server.py"))],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    if not url:
        raise SystemExit("the model's server did not start")
    print(f"SmolLM2-135M-Instruct answers at {url} (llama.cpp, on this machine).\n", flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="scopebot-demo-") as folder:
            Path(folder, "scopebot.toml").write_text(CONFIG.format(url=url), encoding="utf-8")
            return _talk(folder)
    finally:
        server.terminate()
        server.wait()


def _talk(folder: str) -> int:
    """Say the messages, showing each before its answer, and stay if there is somebody to type."""
    settings = (
        "REDIS_URL",
        "DATABASE_URL",
        "SCOPEBOT_ARTIFACTS_URL",
        "SCOPEBOT_CONFIG",
        "SCOPEBOT_PUBLIC_URL",
    )
    environment = {name: value for name, value in os.environ.items() if name not in settings}
    command = [sys.executable, "-m", "bot.cli", "chat", "--stay", "--echo", *MESSAGES]
    return subprocess.run(command, env=environment | {"SCOPEBOT_DATA_DIR": folder}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
