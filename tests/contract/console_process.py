"""A console in a process of its own: it says what comes in as JSON lines, and shows what comes of it as JSON lines.

It is what `scopebot chat --json` is, but for messages that are not known from the beginning.
"""

from __future__ import annotations

import asyncio
import json
import sys

from bot.app import open_bot
from bot.logs import set_up_logging
from bot.platforms.console import ConsolePlatform
from bot.settings import BotSettings


def _handled() -> None:
    sys.stdout.write('{"kind": "handled"}\n')
    sys.stdout.flush()


async def main() -> None:
    """Talk until there is nobody left to talk to."""
    set_up_logging("warning")
    said: list[str] = []
    console = ConsolePlatform(said, as_json=True, yes=False, echo=False, interactive=False)
    async with open_bot(BotSettings(), workers=1, port_may_move=True) as bot:
        while not await bot.services.workers():
            await asyncio.sleep(0.1)
        _handled()
        while line := await asyncio.to_thread(sys.stdin.readline):
            said[:] = [json.loads(line)]
            await console.run(lambda incoming: bot.receive(console, incoming))
            _handled()
        await console.close()


if __name__ == "__main__":
    asyncio.run(main())
