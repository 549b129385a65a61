"""Keeps a worker's light process alive beside it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

AGAIN_AFTER = 2.0
"""Seconds until one that died is started again."""


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
    while not over.is_set():
        command = [sys.executable, "-m", "bot.cli", "worker", "--checks"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
            while process.poll() is None and not over.wait(0.2):
                pass
            process.terminate()
        over.wait(AGAIN_AFTER)
