"""`scopebot` as a person uses it: in a process of its own, on a data folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.models import Run

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
CONFIG = """\
[models.smollm2]
model = "smollm2-135m"
api_url = "{url}"
generation_config = {{ temperature = 0, max_tokens = 32 }}
"""
CHAT_WITHIN = 240
"""Seconds for a conversation; a third of it where the machine has nothing else to do."""


@dataclass
class Said:
    """What came of a conversation."""

    status: int
    lines: list[dict[str, Any]]
    errors: str

    @property
    def posts(self) -> list[dict[str, Any]]:
        """The messages, without edits."""
        return [line for line in self.lines if line["kind"] == "post"]

    @property
    def text(self) -> str:
        """All that was said, as text."""
        return json.dumps(self.lines, ensure_ascii=False)


@dataclass
class Console:
    """`scopebot` in a data folder of its own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def scopebot(self, *arguments: str, within: float = CHAT_WITHIN) -> subprocess.CompletedProcess[str]:
        """Run the command in a process of its own."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("SCOPEBOT_", "REDIS_"))}
        for name in ("DATABASE_URL", "NLTK_DATA", "MODELSCOPE_CACHE"):
            own.pop(name, None)
        # any free port: the tests of others use the usual one
        own |= {"SCOPEBOT_DATA_DIR": str(self.folder), "SCOPEBOT_PORT": "0"} | self.environment
        return subprocess.run(
            [sys.executable, "-m", "bot.cli", *arguments], env=own | {"PYTHONPATH": str(ROOT)}, cwd=self.folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within, check=False,
        )  # fmt: skip

    def chat(self, *arguments: str) -> Said:
        """Hold a conversation; standard output has to be JSON lines and nothing else."""
        ended = self.scopebot("chat", "--json", *arguments)
        return Said(ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr)

    def runs(self) -> list[Run]:
        """Return all runs, the first one first."""
        ended = self.scopebot("runs", "--json")
        assert ended.returncode == 0, ended.stderr
        return [Run.model_validate_json(line) for line in reversed(ended.stdout.splitlines())]


def make_console(folder: Path, url: str, **environment: str) -> Console:
    """Make a data folder whose one model is the real one."""
    (folder / "scopebot.toml").write_text(CONFIG.format(url=url), encoding="utf-8")
    return Console(folder, environment)
