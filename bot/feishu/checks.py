"""What `scopebot doctor` looks at in Feishu. It asks without the SDK, whose import alone takes seconds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp

from bot.doctor import ANSWER_WITHIN, Finding
from bot.feishu.wanted import missing

if TYPE_CHECKING:
    from bot.settings import BotSettings

NAME, MESSAGES = "Feishu", "Feishu messages"
CONSOLE = "in the developer console (开发者后台)"


def app(settings: BotSettings) -> Finding:
    """Look at who the bot is, and what it may do."""
    if not (settings.feishu_app_id and settings.feishu_app_secret):
        unset = "FEISHU_APP_SECRET" if settings.feishu_app_id else "FEISHU_APP_ID"
        remedy = f"Set both, from 凭证与基础信息 (Credentials & Basic Info) {CONSOLE}."
        return Finding(NAME, False, f"{unset} is not set, and the other one is", remedy)
    said = asyncio.run(_ask(settings))
    if "token" in said:
        remedy = f"Copy App ID and App Secret anew from 凭证与基础信息 (Credentials & Basic Info) {CONSOLE}."
        return Finding(NAME, False, f"Feishu gives no token: {said['token']}", remedy)
    if said["bot"] is None:
        remedy = f"Add the ability 机器人 (Bot) to the app {CONSOLE}, then create and publish a version."
        return Finding(NAME, False, "the app is no bot, or no version of it is published", remedy)
    lacks = missing(frozenset(said["scopes"]))
    if said["scopes"] and lacks:
        where = f"under 权限管理 (Permissions & Scopes) {CONSOLE}"
        remedy = f"Add {', '.join(lacks)} {where}, then create and publish a version."
        return Finding(NAME, False, f"{said['bot']}, without {len(lacks)} of the scopes it needs", remedy)
    return Finding(NAME, True, f"{said['bot']}, {len(said['scopes'])} scopes" if said["scopes"] else said["bot"])


def messages(settings: BotSettings) -> Finding:
    """Look at how messages come in: over the long connection, or as requests to our web server."""
    if settings.config.feishu.receive == "connection":
        refused = asyncio.run(_connects(settings))
        if refused:
            remedy = "The long connection is for self-built apps (企业自建应用) of Feishu; see docs/feishu.md."
            return Finding(MESSAGES, False, f"Feishu gives no connection: {refused}", remedy)
        return Finding(MESSAGES, True, "over the long connection")
    public = (settings.public_url or "").rstrip("/")
    if not (settings.feishu_encrypt_key or settings.feishu_verification_token):
        remedy = f"Set both, from 事件与回调 → 加密策略 (Events & Callbacks → Encryption Strategy) {CONSOLE}."
        return Finding(MESSAGES, False, "neither FEISHU_ENCRYPT_KEY nor FEISHU_VERIFICATION_TOKEN is set", remedy)
    if not public.startswith("https://"):
        remedy = "Set SCOPEBOT_PUBLIC_URL to the https address at which Feishu reaches this web server."
        return Finding(MESSAGES, False, "requests have no https address to come to", remedy)
    return Finding(MESSAGES, True, f"as requests to {public}/feishu/events")


async def _ask(settings: BotSettings) -> dict[str, Any]:
    """Return who the `bot` is and its `scopes`; or why there is no `token`."""
    credentials = {"app_id": settings.feishu_app_id, "app_secret": settings.feishu_app_secret}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(ANSWER_WITHIN), trust_env=True) as session:
        url = f"{settings.feishu_domain}/open-apis"
        async with session.post(f"{url}/auth/v3/tenant_access_token/internal", json=credentials) as answer:
            given = await answer.json(content_type=None)
        if not given.get("tenant_access_token"):
            return {"token": f"{given.get('code')} {given.get('msg')}"}
        session.headers["Authorization"] = f"Bearer {given['tenant_access_token']}"
        async with session.get(f"{url}/bot/v3/info") as answer:
            bot = (await answer.json(content_type=None)).get("bot")
        async with session.get(f"{url}/application/v6/scopes") as answer:
            data = (await answer.json(content_type=None)).get("data") or {}
    scopes = [str(scope["scope_name"]) for scope in data.get("scopes") or () if scope.get("grant_status") == 1]
    return {"bot": bot and str(bot.get("app_name") or bot.get("open_id")), "scopes": scopes}


async def _connects(settings: BotSettings) -> str:
    """Return why Feishu gives no address to connect to; empty where it does. Nothing is opened."""
    body = {"AppID": settings.feishu_app_id, "AppSecret": settings.feishu_app_secret}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(ANSWER_WITHIN), trust_env=True) as session,
        session.post(f"{settings.feishu_domain}/callback/ws/endpoint", json=body) as answer,
    ):
        said = await answer.json(content_type=None)
    return "" if (said.get("data") or {}).get("URL") else f"{said.get('code')} {said.get('msg')}"
