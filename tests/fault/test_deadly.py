"""A message that kills whoever handles it does so three times, not for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.recorder import Recorder

from handlers.incoming import Incoming, Place
from jobs.embedded import EmbeddedServer

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parents[2]
BOT = """
import asyncio, os, signal, sys
import bot.attached
from support.recorder_bot import main
real = bot.attached.converse

async def converse(incoming, *rest, **how):
    if "deadly" in incoming.text:
        os.kill(os.getpid(), signal.SIGKILL)
    return await real(incoming, *rest, **how)

bot.attached.converse = converse
asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as recorder:
        yield recorder


def start(folder: Path, url: str, recorder: Recorder) -> subprocess.Popen[bytes]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("SCOPEBOT", "DATABASE"))}
    with (folder / "bot.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", BOT, recorder.url, "rec"], cwd=ROOT, stdout=log, stderr=log,
            env=own | {
                "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "SCOPEBOT_PORT": "0", "SCOPEBOT_DATA_DIR": str(folder),
                "REDIS_URL": url,
            },
        )  # fmt: skip


def said(number: int, text: str) -> dict[str, Any]:
    place = Place(platform="rec", channel="c", thread=f"t{number}")
    return Incoming(id=f"rec:{number}", place=place, user="u", text=text, owns_machine=True).model_dump()


@pytest.mark.parametrize(("text", "answer"), [("a deadly one", "my process died"), ("deadly 的评测", "进程都会退出")])
def test_a_message_that_kills_the_bot_is_answered_after_three_deaths(
    tmp_path: Path, recorder: Recorder, text: str, answer: str
) -> None:
    with EmbeddedServer(tmp_path) as server:
        recorder.say(said(1, text))
        for _ in range(3):
            bot = start(tmp_path, server.url, recorder)
            assert bot.wait(30) == -signal.SIGKILL, (tmp_path / "bot.log").read_text()[-2000:]
        recorder.say(said(2, "help"))
        bot = start(tmp_path, server.url, recorder)
        try:
            deadline = time.monotonic() + 30
            while len(posts := recorder.state()["posts"]) < 2:
                assert bot.poll() is None
                assert time.monotonic() < deadline, (tmp_path / "bot.log").read_text()[-2000:]
                time.sleep(0.1)
        finally:
            bot.terminate()
            bot.wait(30)
    told = next(post for post in posts if post["key"] == "rec:1/0")
    assert answer in told["message"]["text"]
    assert "rec:1" in (tmp_path / "bot.log").read_text(encoding="utf-8")
