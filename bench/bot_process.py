"""The bot process: what it imports, how much memory it takes, how soon it is ready; median of 5.

Bounds: no EvalScope, pandas, torch, scipy or matplotlib; openai, alembic and chat SDKs only on first use; at most
160 MB resident; ready in at most 1.3 × the time of its own imports, on a migrated data folder with Redis up. With
Feishu's SDK, once that is imported, at most 300 MB, and with Slack's too 360 MB; its import stops the loop for at most
100 ms.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
from common import ROUNDS, check, finish, report

from jobs.config import Settings
from jobs.db import migrate, open_engine
from jobs.embedded import EmbeddedServer

HEAVY = {"evalscope", "pandas", "torch", "scipy", "matplotlib", "numpy"}
ON_FIRST_USE = {"openai", "alembic", "slack_bolt", "slack_sdk", "lark_oapi"}
MEMORY_MB = 160.0
READY = 1.3
NOWHERE = "http://127.0.0.1:9"
"""Where neither of them answers: the SDKs are imported all the same."""
FEISHU = {"FEISHU_APP_ID": "cli_1", "FEISHU_APP_SECRET": "s", "FEISHU_DOMAIN": NOWHERE}
SLACK = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "SLACK_API_URL": f"{NOWHERE}/api/"}
WITH_PLATFORMS_MB = {"Feishu": (FEISHU, 300.0), "Feishu and Slack": (FEISHU | SLACK, 360.0)}
PAUSE_MS = 100.0
IMPORT = """
import asyncio, time
from bot.pauses import import_beside, keep_pauses_short
async def main():
    keep_pauses_short()
    longest, over = 0.0, False
    async def tick():
        nonlocal longest
        while not over:
            begun = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - begun - 0.005)
    ticking = asyncio.create_task(tick())
    await import_beside("bot.platforms.feishu")
    over = True
    await ticking
    print(1000 * longest)
asyncio.run(main())
"""
STABLE_FOR, STABLE_WITHIN = 4.0, 60.0
LIST_MODULES = """
import asyncio, json, sys
from bot.app import open_bot
from bot.settings import BotSettings
import bot.cli
async def main():
    async with open_bot(BotSettings(), workers=0) as bot:
        print(json.dumps(sorted(name for name, module in sys.modules.items() if getattr(module, "__file__", None))))
asyncio.run(main())
"""


def measure() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="scopebot-bench-") as folder:
        environment = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
        environment |= {"SCOPEBOT_DATA_DIR": folder, "SCOPEBOT_PORT": str(_free_port())}
        settings = Settings(data_dir=Path(folder))
        engine = open_engine(settings.effective_database_url)
        migrate(engine)
        engine.dispose()
        with EmbeddedServer(settings.folder):
            return _measure(environment)


def _measure(environment: dict[str, str]) -> int:
    listed = subprocess.run(
        [sys.executable, "-c", LIST_MODULES], env=environment, check=True, capture_output=True, text=True
    ).stdout.splitlines()[-1]
    import json

    modules: list[str] = json.loads(listed)
    packages = {name.partition(".")[0] for name in modules}
    unwanted = sorted(packages & (HEAVY | ON_FIRST_USE))
    print(f"{len(modules)} modules of {len(packages)} packages; unwanted: {', '.join(unwanted) or 'none'}")
    own = [name for name in modules if name != "__main__" and not name.startswith(("__", "encodings"))]
    imports = "import importlib\nfor name in " + repr(own) + ":\n    importlib.import_module(name)"
    ready: list[float] = []
    bare: list[float] = []
    memory = 0.0
    for number in range(ROUNDS + 1):
        seconds, megabytes = _serve(environment)
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-W", "ignore", "-c", imports], env=environment, check=True)
        if number:
            bare.append(time.perf_counter() - begun)
            ready.append(seconds)
            memory = max(memory, megabytes)
    return finish(
        [
            not unwanted,
            check("resident memory", memory, "MB", MEMORY_MB),
            *(
                check(f"resident with {name}", _with_platforms(environment | variables), "MB", bound)
                for name, (variables, bound) in WITH_PLATFORMS_MB.items()
            ),
            check("pause of Feishu's import", _import_pause(environment), "ms", PAUSE_MS),
            report("start → /readyz", ready, bare, bound=READY, bare_name="its imports"),
        ]
    )


def _serve(environment: dict[str, str]) -> tuple[float, float]:
    """Start the bot; return the seconds until it is ready, and its resident memory then, in MB."""
    command = [sys.executable, "-m", "bot.cli", "serve", "--workers", "0"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _answers(int(environment["SCOPEBOT_PORT"])):
            if process.poll() is not None:
                raise SystemExit("the bot ended")
            time.sleep(0.005)
        seconds = time.perf_counter() - begun
        return seconds, psutil.Process(process.pid).memory_info().rss / 1e6
    finally:
        process.terminate()
        process.wait()


def _import_pause(environment: dict[str, str]) -> float:
    """Return the median of the longest pauses, in ms, while the SDK is imported."""
    command = [sys.executable, "-c", IMPORT]
    pauses = [
        float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
        for _ in range(ROUNDS)
    ]
    return statistics.median(pauses)


def _with_platforms(environment: dict[str, str]) -> float:
    """Start the bot; return its resident memory in MB once that does not change any more."""
    command = [sys.executable, "-m", "bot.cli", "serve", "--workers", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        begun = since = time.monotonic()
        shown, known = psutil.Process(process.pid), 0.0
        while time.monotonic() - since < STABLE_FOR or not _answers(int(environment["SCOPEBOT_PORT"])):
            if process.poll() is not None or time.monotonic() - begun > STABLE_WITHIN:
                raise SystemExit("the bot ended, or its memory does not settle")
            memory = shown.memory_info().rss / 1e6
            if abs(memory - known) > 1.0:
                known, since = memory, time.monotonic()
            time.sleep(0.1)
        return known
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(measure())
