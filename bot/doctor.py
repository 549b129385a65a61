"""`scopebot doctor`: looks at every setting and what it names, and says how to mend what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from bot.settings import BotSettings
from handlers.presets import wrong_presets
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
        ("artifacts", _artifacts), ("workers", _workers), ("LLM", _llm), *_slack_checks(settings),
        *_feishu_checks(settings),
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
    "Slack": "Check SLACK_BOT_TOKEN (xoxb-…), SLACK_API_URL, and that this machine reaches Slack (HTTPS_PROXY).",
    "Slack messages": "Check SLACK_APP_TOKEN (xapp-…), SLACK_API_URL, and that this machine reaches Slack.",
    "Slack installs": "Check SLACK_CLIENT_ID, SLACK_CLIENT_SECRET and SCOPEBOT_PUBLIC_URL.",
    "Feishu": "Check FEISHU_APP_ID, FEISHU_APP_SECRET and FEISHU_DOMAIN, and that this machine reaches Feishu.",
    "Feishu messages": "Check FEISHU_DOMAIN, and that this machine reaches Feishu.",
}


def _data_folder(settings: BotSettings) -> Finding:
    probe = settings.folder / ".doctor"
    probe.touch()
    probe.unlink()
    return Finding("data folder", True, str(settings.folder))


def _config(settings: BotSettings) -> Finding:
    config = settings.config
    wrong = wrong_presets(config)
    if wrong:
        said = "; ".join(f"presets.{name}: {reason}" for name, reason in wrong.items())
        return Finding("scopebot.toml", False, said, "A preset has the values of an evaluation: datasets, limit, …")
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


def _slack_checks(settings: BotSettings) -> list[tuple[str, Callable[[BotSettings], Finding]]]:
    """Return what there is to look at for Slack; where nothing of it is set, that it is not."""
    own = (settings.slack_bot_token, settings.slack_app_token, settings.slack_signing_secret)
    many = (settings.slack_client_id, settings.slack_client_secret)
    if not any((*own, *many)):
        return [("Slack", lambda _: Finding("Slack", True, "not set"))]
    installs = [("Slack installs", _slack_installs)] if any(many) else []
    return [("Slack", _slack), ("Slack messages", _slack_events), *installs]


def _slack(settings: BotSettings) -> Finding:
    """Look at who the bot is in its workspace, and what it may do there."""
    token = settings.slack_bot_token
    if token is None or (settings.slack_client_id and settings.slack_client_secret):
        return _slack_of_many(settings)
    if not token.startswith("xoxb-"):
        said = f"SLACK_BOT_TOKEN holds {_kind_of_token(token)}"
        return Finding("Slack", False, said, f"Set it to the Bot User OAuth Token (xoxb-…): {_BOT_TOKEN_AT}.")
    answer = _ask_slack(settings, token, "auth.test")
    if "error" in answer:
        return _slack_refused("SLACK_BOT_TOKEN", str(answer["error"]))
    from bot.slack.manifest import scopes

    who, granted = f"{answer['user']} in {answer['team']}", answer["scopes"]
    missing = [name for name in scopes(settings) if name not in granted] if granted else []
    if missing:
        remedy = (
            f"In the app's settings: OAuth & Permissions → Bot Token Scopes → add {', '.join(missing)}, "
            "then Install App → Reinstall."
        )
        return Finding("Slack", False, f"{who}, without {len(missing)} of the scopes it needs", remedy)
    return Finding("Slack", True, f"{who}, {len(granted)} scopes" if granted else who)


def _slack_of_many(settings: BotSettings) -> Finding:
    """Look at the app without a token of its own: workspaces install it, each with its own token."""
    if settings.slack_client_id is None:
        remedy = f"Set SLACK_BOT_TOKEN to the Bot User OAuth Token (xoxb-…): {_BOT_TOKEN_AT}."
        return Finding("Slack", False, "SLACK_BOT_TOKEN is not set, and other settings of Slack are", remedy)
    from jobs.db import HEAD, current_revision, open_engine

    engine = open_engine(settings.effective_database_url)
    try:
        if current_revision(engine) != HEAD:
            return Finding("Slack", True, "no workspace has installed it yet")
        from bot.slack.installations import Installations

        unused = "" if settings.slack_bot_token is None else "; SLACK_BOT_TOKEN is not used"
        return Finding("Slack", True, f"workspaces that installed it: {len(Installations(engine).teams())}{unused}")
    finally:
        engine.dispose()


def _slack_events(settings: BotSettings) -> Finding:
    """Look at how messages come in: over Socket Mode, or as requests to our web server."""
    what, token = "Slack messages", settings.slack_app_token
    if token is None:
        return _slack_requests(settings)
    if not token.startswith("xapp-"):
        said = f"SLACK_APP_TOKEN holds {_kind_of_token(token)}"
        return Finding(what, False, said, f"Set it to an app-level token (xapp-…): {_APP_TOKEN_AT}.")
    answer = _ask_slack(settings, token, "apps.connections.open")
    error = str(answer.get("error", ""))
    if error == "ratelimited":
        return Finding(what, True, "Socket Mode; asked too often just now to try it")
    if error == "missing_scope":
        remedy = f"Make another token with the scope connections:write: {_APP_TOKEN_AT}."
        return Finding(what, False, "SLACK_APP_TOKEN may not open connections", remedy)
    if error:
        refused = _slack_refused("SLACK_APP_TOKEN", error)
        remedy = f"{refused.remedy} Socket Mode → Enable Socket Mode has to be on as well."
        return Finding(what, False, refused.state, remedy)
    return Finding(what, True, "Socket Mode")


def _slack_requests(settings: BotSettings) -> Finding:
    """Look at what requests from Slack need; nothing tells from here whether they get through."""
    from bot.slack.manifest import EVENTS_PATH

    what, public = "Slack messages", (settings.public_url or "").rstrip("/")
    secret = settings.slack_signing_secret
    if secret is None:
        remedy = (
            f"For Socket Mode set SLACK_APP_TOKEN: {_APP_TOKEN_AT}. For requests over HTTP set SLACK_SIGNING_SECRET "
            "(Basic Information → App Credentials → Signing Secret) and SCOPEBOT_PUBLIC_URL."
        )
        return Finding(what, False, "neither SLACK_APP_TOKEN nor SLACK_SIGNING_SECRET is set", remedy)
    if secret.startswith(("xox", "xapp-")):
        remedy = "Set it to Basic Information → App Credentials → Signing Secret."
        return Finding(what, False, f"SLACK_SIGNING_SECRET holds {_kind_of_token(secret)}", remedy)
    if not public.startswith("https://"):
        remedy = "Set it to the https address at which Slack reaches this web server through your reverse proxy."
        said = "SCOPEBOT_PUBLIC_URL is not set" if not public else "SCOPEBOT_PUBLIC_URL does not begin with https://"
        return Finding(what, False, said, remedy)
    return Finding(what, True, f"as requests to {public}{EVENTS_PATH}")


def _slack_installs(settings: BotSettings) -> Finding:
    """Look at what the install link needs."""
    from bot.slack.manifest import INSTALL_PATH

    what, public = "Slack installs", (settings.public_url or "").rstrip("/")
    if settings.slack_client_id is None or settings.slack_client_secret is None:
        missing = "SLACK_CLIENT_SECRET" if settings.slack_client_secret is None else "SLACK_CLIENT_ID"
        remedy = "Set both, from Basic Information → App Credentials, or neither for a single workspace."
        return Finding(what, False, f"{missing} is not set, and the other one is", remedy)
    if not public.startswith("https://"):
        remedy = "Set SCOPEBOT_PUBLIC_URL to the https address of this web server: Slack leads people back to it."
        return Finding(what, False, "the install link has no https address", remedy)
    return Finding(what, True, f"{public}{INSTALL_PATH}")


_BOT_TOKEN_AT = "in the app's settings under OAuth & Permissions"  # noqa: S105 - where it is, not what
_APP_TOKEN_AT = (
    "in the app's settings under Basic Information → App-Level Tokens → Generate, with the scope connections:write"  # noqa: S105 - see above
)
_TOKEN_KINDS = {
    "xapp-": "an app-level token (xapp-…)",
    "xoxb-": "a bot token (xoxb-…)",
    "xoxp-": "a user token (xoxp-…)",
    "xoxe": "a token that is rotated (xoxe…)",
}
_REVOKED = frozenset({"token_revoked", "account_inactive", "token_expired"})


def _kind_of_token(token: str) -> str:
    return next((kind for prefix, kind in _TOKEN_KINDS.items() if token.startswith(prefix)), "no token of Slack's")


def _slack_refused(variable: str, error: str) -> Finding:
    """Return what Slack's error says of the token in a variable."""
    where = _APP_TOKEN_AT if variable == "SLACK_APP_TOKEN" else _BOT_TOKEN_AT
    if error in _REVOKED:
        said, remedy = f"{variable} was revoked ({error})", f"Install App → Reinstall, then copy it anew: {where}."
    else:
        said, remedy = f"Slack does not take {variable} ({error})", f"Copy it anew: {where}."
    return Finding("Slack", False, said, remedy)


def _ask_slack(settings: BotSettings, token: str, method: str) -> dict[str, Any]:
    """Return what Slack answers, with the token's `scopes`, or with the `error`; a token is never part of it."""
    from slack_sdk import WebClient
    from slack_sdk.errors import SlackApiError

    client = WebClient(token, base_url=settings.slack_api_url, timeout=int(ANSWER_WITHIN))
    try:
        answer = client.api_call(method)
    except SlackApiError as error:
        return {"error": error.response.get("error", "no reason given")}
    headers = {name.lower(): value for name, value in answer.headers.items()}
    granted = [name.strip() for name in headers.get("x-oauth-scopes", "").split(",") if name.strip()]
    assert isinstance(answer.data, dict)
    return answer.data | {"scopes": granted}


def _feishu_checks(settings: BotSettings) -> list[tuple[str, Callable[[BotSettings], Finding]]]:
    """Return what there is to look at for Feishu; where nothing of it is set, that it is not."""
    if not (settings.feishu_app_id or settings.feishu_app_secret):
        return [("Feishu", lambda _: Finding("Feishu", True, "not set"))]
    from bot.feishu import checks

    return [(checks.NAME, checks.app), (checks.MESSAGES, checks.messages)]
