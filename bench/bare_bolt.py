"""A bare Bolt app over Socket Mode, for comparison: it acknowledges what comes and does nothing else."""

from __future__ import annotations

import asyncio
import re
import sys

from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.web.async_client import AsyncWebClient


async def main(api_url: str, token: str, app_token: str) -> None:
    """Listen until told to stop."""
    app = AsyncApp(client=AsyncWebClient(token=token, base_url=api_url))

    async def nothing() -> None:
        """Bolt has acknowledged it."""

    async def acknowledge(ack: AsyncAck) -> None:
        await ack()

    app.event("app_mention")(nothing)
    app.event("message")(nothing)
    app.command(re.compile(""))(acknowledge)
    handler = AsyncSocketModeHandler(app, app_token)
    await handler.connect_async()  # type: ignore[no-untyped-call]
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
