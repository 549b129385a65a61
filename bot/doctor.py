"""`scopebot doctor`: looks at every setting and what it names, and says how to mend what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from bot.settings import BotSettings
from handlers.texts import Texts
from jobs.embedded import living_server
from jobs.errors import ScopebotError

ANSWER_WITHIN = 5.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    state: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at everything; nothing is changed, nothing is started."""
    try:
        settings = BotSettings()
    except ValidationError as error:
        first = error.errors()[0]
        return [Finding("settings", False, f"{first['loc'][0]}: {first['msg']}", "Correct this variable.")]
    checks: list[tuple[str, Callable[[BotSettings], Finding]]] = [
        ("data folder", _data_folder), ("scopebot.toml", _config), ("Redis", _redis), ("database", _database),
        ("artifacts", _artifacts), ("workers", _workers), ("LLM", _llm), ("Slack", _slack), ("Feishu", _feishu),
    ]  # fmt: skip
    return [_guarded(what, check, settings) for what, check in checks]


def _guarded(what: str, check: Callable[[BotSettings], Finding], settings: BotSettings) -> Finding:
    try:
        return check(settings)
    except ScopebotError as error:
        return Finding(what, False, Texts("en").error(error), "Correct it and run this again.")
    except Exception as error:  # whatever a library raises is a finding here, not a crash
        return Finding(what, False, f"{type(error).__name__}: {error}".splitlines()[0][:200], _REMEDIES[what])


_REMEDIES = {
    "data folder": "Set SCOPEBOT_DATA_DIR to a folder that can be written to.",
    "scopebot.toml": "Set SCOPEBOT_CONFIG to a file that can be read.",
    "Redis": "Start it or correct REDIS_URL: bot and workers wait for it. Without REDIS_URL Scopebot brings its own.",
    "database": "Check DATABASE_URL, and that the server runs; without it Scopebot uses SQLite in its data folder.",
    "artifacts": "Check SCOPEBOT_ARTIFACTS_URL, and that fsspec's package for its scheme is installed.",
    "workers": "Check REDIS_URL.",
    "LLM": "Check OPENAI_BASE_URL, OPENAI_API_KEY and SCOPEBOT_LLM_MODEL.",
    "Slack": "Check SLACK_BOT_TOKEN (xoxb-…), under OAuth & Permissions in the app's settings.",
    "Feishu": "Check FEISHU_APP_ID, FEISHU_APP_SECRET and FEISHU_DOMAIN.",
}


def _data_folder(settings: BotSettings) -> Finding:
    probe = settings.folder / ".doctor"
    probe.touch()
    probe.unlink()
    return Finding("data folder", True, str(settings.folder))


def _config(settings: BotSettings) -> Finding:
    config = settings.config
    said = f"{len(config.models)} models, {len(config.datasets)} data sets, {len(config.keys)} keys"
    return Finding("scopebot.toml", True, said)


def _redis_url(settings: BotSettings) -> str | None:
    server = living_server(settings.folder) if settings.redis_url is None else None
    return settings.redis_url or (server.url if server is not None else None)


def _redis(settings: BotSettings) -> Finding:
    from redis import Redis

    url = _redis_url(settings)
    if url is None:
        return Finding("Redis", True, "embedded; starts with the bot")
    with Redis.from_url(url, socket_timeout=ANSWER_WITHIN, socket_connect_timeout=ANSWER_WITHIN) as client:
        info = client.info("server")
        append = client.config_get("appendonly").get("appendonly")
    version = info.get("valkey_version") or info.get("redis_version")
    if append != "yes":
        remedy = "Set `appendonly yes` and `appendfsync everysec` on the server."
        return Finding("Redis", False, f"version {version}, without AOF: a restart would lose the queue", remedy)
    return Finding("Redis", True, f"version {version}{' (embedded)' if settings.redis_url is None else ''}, AOF")


def _database(settings: BotSettings) -> Finding:
    from jobs.db import HEAD, current_revision, open_engine

    engine = open_engine(settings.effective_database_url)
    try:
        revision = current_revision(engine)
    finally:
        engine.dispose()
    state = "empty; migrated at the bot's start" if revision is None else f"revision {revision}"
    ahead = revision is not None and revision > HEAD
    remedy = "This database was used by a newer Scopebot: upgrade this one."
    return Finding("database", not ahead, f"{engine.dialect.name}, {state}", remedy if ahead else "")


def _artifacts(settings: BotSettings) -> Finding:
    from redis import Redis, RedisError

    from jobs.same_store import compare, open_artifacts, read_mark

    artifacts = open_artifacts(settings.effective_artifacts_url)
    mark, url = read_mark(artifacts), _redis_url(settings)
    if url is None:
        return Finding("artifacts", True, f"{artifacts.url}{'' if mark else ', not used yet'}")
    try:
        with Redis.from_url(url, socket_timeout=ANSWER_WITHIN, socket_connect_timeout=ANSWER_WITHIN) as client:
            found = compare(artifacts, client)
    except RedisError:  # a finding of its own
        return Finding("artifacts", True, f"{artifacts.url}; whether it is the bot's, Redis would say")
    if found == "other":
        remedy = "Set SCOPEBOT_ARTIFACTS_URL to the bot's value: workers and bot must use the same store."
        return Finding("artifacts", False, f"{artifacts.url} is not the store that the bot uses", remedy)
    said = "the bot's store" if found == "same" else "no bot has said yet which store is its own"
    return Finding("artifacts", True, f"{artifacts.url}, {said}")


def _workers(settings: BotSettings) -> Finding:
    from redis import Redis

    from jobs.fleet import living_workers

    url = _redis_url(settings)
    if url is None:
        return Finding("workers", True, "started with the bot (`scopebot serve --workers N`)")
    with Redis.from_url(url, socket_timeout=ANSWER_WITHIN, socket_connect_timeout=ANSWER_WITHIN) as client:
        found = living_workers(client)
    if not found:
        return Finding("workers", False, "none is alive", "Start one: `REDIS_URL=… scopebot worker`.")
    return Finding("workers", True, ", ".join(f"{facts['name']} (EvalScope {facts['evalscope']})" for facts in found))


def _llm(settings: BotSettings) -> Finding:
    if settings.llm_model is None:
        return Finding("LLM", True, "not set: the grammar alone understands requests")
    from openai import OpenAI

    with OpenAI(
        api_key=settings.openai_api_key or "EMPTY",
        base_url=settings.openai_base_url,
        timeout=ANSWER_WITHIN,
        max_retries=0,
    ) as client:
        offered = {model.id for model in client.models.list()}
    if settings.llm_model not in offered:
        remedy = f"Set SCOPEBOT_LLM_MODEL to one it offers: {', '.join(sorted(offered)[:10])}."
        return Finding("LLM", False, f"{settings.llm_model} is not offered there", remedy)
    return Finding("LLM", True, settings.llm_model)


def _slack(settings: BotSettings) -> Finding:
    if settings.slack_bot_token is None:
        return Finding("Slack", True, "not set")
    from slack_sdk import WebClient

    client = WebClient(settings.slack_bot_token, base_url=settings.slack_api_url, timeout=int(ANSWER_WITHIN))
    answer = client.auth_test()
    return Finding("Slack", True, f"{answer['user']} in {answer['team']}")


def _feishu(settings: BotSettings) -> Finding:
    if settings.feishu_app_id is None:
        return Finding("Feishu", True, "not set")
    import asyncio

    import aiohttp

    async def ask() -> dict[str, object]:
        body = {"app_id": settings.feishu_app_id, "app_secret": settings.feishu_app_secret}
        url = f"{settings.feishu_domain}/open-apis/auth/v3/tenant_access_token/internal"
        timeout = aiohttp.ClientTimeout(ANSWER_WITHIN)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.post(url, json=body) as answer:
            data: dict[str, object] = await answer.json()
            return data

    data = asyncio.run(ask())
    if data.get("code") != 0:
        return Finding("Feishu", False, str(data.get("msg")), _REMEDIES["Feishu"])
    return Finding("Feishu", True, f"app {settings.feishu_app_id}")
