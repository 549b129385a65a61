"""Keeps a worker's light process alive beside it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger(__name__)

AGAIN_AFTER, LONGEST_WAIT = 2.0, 60.0
"""Seconds until one that died is started again: longer each time, for one that ends again and again."""


@contextmanager
def light_process() -> Iterator[None]:
    """Keep a process for checks alive until the block is left; should this process be killed, it leaves by itself."""
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(over,), name="light process", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


def _keep(over: threading.Event) -> None:
    wait = AGAIN_AFTER
    while not over.is_set():
        command = [sys.executable, "-m", "bot.cli", "worker", "--checks"]
        begun = time.monotonic()
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
            while process.poll() is None and not over.wait(0.2):
                pass
            process.terminate()
        wait = AGAIN_AFTER if time.monotonic() - begun > LONGEST_WAIT else wait
        if not over.is_set():
            log.warning("the light process ended", code=process.returncode, again_in=wait)
        over.wait(wait)
        wait = min(2 * wait, LONGEST_WAIT)
