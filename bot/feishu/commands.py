"""The slash commands that Feishu offers while one types, where the tenant has them: those of the registry.

A command that is picked arrives as the text it is, so nothing depends on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import structlog
from lark_oapi import AccessTokenType, BaseRequest, HttpMethod

from bot.platforms.base import PlatformError
from handlers.registry import intents
from handlers.texts import Texts

if TYPE_CHECKING:
    from bot.feishu.calls import Calls

log = structlog.get_logger(__name__)

PATH = "/open-apis/application/v7/app_slash_commands"
MOST = 100
PAGE = "50"


async def register(calls: Calls) -> None:
    """Have Feishu offer our commands as the registry has them; best effort."""
    try:
        there = await _there(calls)
        wanted = commands()
        for name, description in wanted.items():
            known = there.get(name)
            if known is None:
                await calls.call(_request(HttpMethod.POST, PATH, {"command": name, "description": description}))
            elif known.get("description") != description:
                await calls.call(
                    _request(HttpMethod.PATCH, f"{PATH}/{known['command_id']}", {"description": description})
                )
        for name, known in there.items():
            if name not in wanted:
                await calls.call(_request(HttpMethod.DELETE, f"{PATH}/{known['command_id']}"))
    except (PlatformError, aiohttp.ClientError, TimeoutError, OSError) as error:
        log.info("Feishu does not offer our commands while people type; they work all the same", reason=str(error))


def commands() -> dict[str, dict[str, Any]]:
    """Return the commands by their name, each with what it does in both languages; 100 at most."""
    english, chinese = Texts("en"), Texts("zh")
    found: dict[str, dict[str, Any]] = {}
    for intent in intents().values():
        said = {
            language: texts(f"help.about.{intent.name}") for language, texts in (("en_us", english), ("zh_cn", chinese))
        }
        for slash in intent.slash:
            found[slash.removeprefix("/")] = {"default_value": said["zh_cn"], "i18n": said}
    return dict(list(found.items())[:MOST])


async def _there(calls: Calls) -> dict[str, dict[str, Any]]:
    """Return the commands that Feishu has of us."""
    found: dict[str, dict[str, Any]] = {}
    token = ""
    while True:
        request = _request(HttpMethod.GET, PATH)
        request.add_query("page_size", PAGE)
        if token:
            request.add_query("page_token", token)
        page = await calls.call(request)
        for item in page.get("items") or ():
            found[str(item["command"])] = item
        token = str(page.get("page_token") or "")
        if not page.get("has_more") or not token:
            return found


def _request(method: HttpMethod, path: str, body: dict[str, Any] | None = None) -> BaseRequest:
    builder = BaseRequest.builder().http_method(method).uri(path).token_types({AccessTokenType.TENANT})
    return (builder if body is None else builder.body(body)).build()
