"""What a link to a run unfolds to where somebody posts it: the run's state and scores, for who has the signed link."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import structlog

from bot.platforms.base import PlatformError
from bot.render.slack import Level, render
from bot.web.links import LinkError
from handlers.cards import headline
from handlers.joint import result_of
from handlers.message import Message
from handlers.texts import Texts
from jobs.errors import UnknownRun
from jobs.lifecycle import ENDED

if TYPE_CHECKING:
    from bot.app import Bot
    from bot.slack.workspaces import Workspaces

log = structlog.get_logger(__name__)

_RUN = re.compile(r"/runs/r?([1-9]\d{0,8})(/report)?/?")
MOST_LINKS = 5


async def unfurl(bot: Bot, workspaces: Workspaces, team: str, event: dict[str, Any]) -> None:
    """Show what the links of a message lead to."""
    shown: dict[str, Any] = {}
    for link in (event.get("links") or ())[:MOST_LINKS]:
        url = str(link.get("url") or "")
        message = await asyncio.to_thread(_summary, bot, url)
        if message is not None:
            shown[url] = {"blocks": render(message, Level.TEXT, value=lambda button: button.id).blocks}
    if not shown:
        return
    # a link that is being typed stands in no message yet: it is known by an id of its own
    by_id = {name: event.get(name) for name in ("unfurl_id", "source")}
    where = by_id if all(by_id.values()) else {"channel": event.get("channel"), "ts": event.get("message_ts")}
    try:
        workspace = await workspaces.get(team)
        await workspace.calls.call("chat.unfurl", unfurls=shown, **where)
    except PlatformError as error:
        log.info("a link stays folded", reason=str(error))


def _summary(bot: Bot, url: str) -> Message | None:
    """Return a run in a line; None for what is no good link to one."""
    public = urlsplit(bot.links.public_url)
    try:
        address = urlsplit(url)
        found = _RUN.fullmatch(address.path.removeprefix(public.path.rstrip("/")))
        if found is None or address.hostname != public.hostname:
            return None
        token = parse_qs(address.query).get("t", [""])[0]
        bot.links.check(int(found[1]), token, report=found[2] is not None)
        run = bot.services.store.run(int(found[1]))
    except (LinkError, UnknownRun, ValueError):
        return None
    texts = Texts(bot.services.store.group(run.group_id).language)
    if run.state in ENDED:
        return Message(text=result_of([run], bot.services.store, texts, bot.links).text)
    return Message(text=f"{headline([run], texts)} {texts(f'state.{run.state}')}")
