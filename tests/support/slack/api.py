"""Slack's Web API: parameters, tokens, scopes and limits are checked here; each method stands in an `api_*` module."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from support.slack.faults import Fault
from support.slack.limits import POSTS_IN_CHANNEL, POSTS_IN_WORKSPACE
from support.slack.methods import FLAGS, METHODS, NUMBERS, STRUCTURED, Method
from support.slack.workspace import Channel, Message, Workspace
from support.slack.world import HARMLESS, Refused, World

SCOPE_KINDS = {"channel": "channels", "group": "groups", "im": "im", "mpim": "mpim"}


class Call:
    """One call of a method, its parameters read and its token known."""

    def __init__(self, world: World, name: str, args: dict[str, Any], token: str) -> None:
        self.world, self.name, self.args, self.token = world, name, args, token
        self.method: Method = METHODS[name]
        self._team: Workspace | None = None

    @property
    def team(self) -> Workspace:
        """The workspace whose token it was made with."""
        assert self._team is not None
        return self._team

    def get(self, name: str, default: Any = None) -> Any:
        """Return a parameter."""
        return self.args.get(name, default)

    def authorize(self) -> None:
        """Find the workspace by the token."""
        if not self.token:
            raise Refused("not_authed")
        team = next((team for team in self.world.teams.values() if team.bot_token == self.token), None)
        if team is None:
            wrong_kind = self.token == self.world.app.app_token
            raise Refused("not_allowed_token_type" if wrong_kind else "invalid_auth")
        if team.token_state:
            raise Refused(team.token_state)
        self._team = team
        if self.method.scopes and not any(scope.startswith("*") for scope in self.method.scopes):
            self.need_scope(*self.method.scopes)

    def need_scope(self, *scopes: str) -> None:
        """Refuse the call unless the token has one of these scopes."""
        if not self.team.scopes & set(scopes):
            raise Refused("missing_scope", needed=",".join(scopes), provided=",".join(sorted(self.team.scopes)))

    def channel(self, name: str = "channel", *, member: bool = False, open_to_public: bool = False) -> Channel:
        """Return the channel a parameter names, as far as the bot may see it.

        `member`: the bot must be in it; `open_to_public`: but not in a public one, with chat:write.public.
        """
        channel = self.team.channels.get(self.get(name))
        bot_in = channel is not None and self.team.bot.id in channel.members
        if channel is None or (not bot_in and channel.kind != "channel"):
            raise Refused("channel_not_found")
        for scope in self.method.scopes:
            if scope.startswith("*"):
                self.need_scope(SCOPE_KINDS[channel.kind] + scope[1:])
        if member and not bot_in and not (open_to_public and "chat:write.public" in self.team.scopes):
            raise Refused("not_in_channel")
        return channel

    def message(self, channel: Channel, name: str) -> Message:
        """Return the message a parameter names."""
        message = channel.messages.get(self.get(name))
        if message is None or message.subtype == "tombstone":
            raise Refused("message_not_found")
        return message

    def limit_posts(self, channel: str) -> None:
        """Refuse a post that its channel or workspace does not take yet."""
        self.limit((("post", channel), POSTS_IN_CHANNEL), (("posts", self.team.id), POSTS_IN_WORKSPACE))

    def limit(self, *rules: Any) -> None:
        """Refuse a call that comes too early."""
        seconds = self.world.limits.refuses(*rules)
        if seconds:
            raise Refused("ratelimited", status=429, retry_after=seconds)


Handler = Callable[[Call], Awaitable[dict[str, Any]]]
HANDLERS: dict[str, Handler] = {}


def handles(name: str) -> Callable[[Handler], Handler]:
    """Register the function that performs a method."""

    def register(handler: Handler) -> Handler:
        HANDLERS[name] = handler
        return handler

    return register


async def answer(world: World, request: web.Request) -> web.StreamResponse:
    """Answer a call of the Web API."""
    began, name = time.time(), request.match_info["method"]
    fault = world.faults.take(name)
    if fault and fault.kind == "delay":
        await asyncio.sleep(fault.seconds)
        fault = None
    if fault and fault.before and fault.kind != "lose":
        response = failed(fault)
        _log(world, name, began, team="", status=response.status, error=f"fault: {fault.kind}")
        return response
    call, status, headers = None, 200, dict[str, str]()
    try:
        call = await _read(world, request, name)
        body = {"ok": True, **await _perform(call)}
    except Refused as refused:
        body, status = refused.answer(), refused.status
        if "retry_after" in body:
            headers["Retry-After"] = str(body.pop("retry_after"))
        if refused.error not in HARMLESS:
            world.violate(refused.error, list(refused.messages), method=name)
    team = call._team.id if call and call._team else ""
    if call and call._team:
        headers["x-oauth-scopes"] = ",".join(sorted(call._team.scopes))
    _log(world, name, began, team=team, status=status, error=body.get("error", ""))
    if fault and fault.kind == "lose":
        return lost(request)
    if fault:
        return failed(fault)
    return web.Response(text=json.dumps(body), content_type="application/json", status=status, headers=headers)


def _log(world: World, name: str, began: float, **more: Any) -> None:
    world.calls.append({"at": began, "took": time.time() - began, "method": name, **more})
    world.stats[f"calls {name}"] += 1


def failed(fault: Fault) -> web.Response:
    """Answer as a fault has it."""
    if fault.kind == "ratelimit":
        headers = {"Retry-After": str(int(fault.seconds))}
        return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
    if fault.kind == "error":
        return web.json_response({"ok": False, "error": fault.error})
    return web.Response(text="upstream error", status=fault.status, content_type="text/html")


def lost(request: web.Request) -> web.Response:
    """Close the connection instead of answering."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


async def _read(world: World, request: web.Request, name: str) -> Call:
    if name not in METHODS or name not in HANDLERS:
        raise Refused("unknown_method", req_method=name)
    method = METHODS[name]
    raw: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        data = await request.read()
        try:
            parsed = json.loads(data) if data.strip() else {}
        except ValueError:
            raise Refused("invalid_json") from None
        if not isinstance(parsed, dict):
            raise Refused("json_not_object")
        raw |= parsed if method.json else {}
    elif request.method == "POST":
        raw |= dict(await request.post())
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    if kind == "Basic" and name == "oauth.v2.access":
        client_id, _, client_secret = base64.b64decode(secret).decode().partition(":")
        raw |= {"client_id": client_id, "client_secret": client_secret}
    return Call(world, name, raw, secret if kind == "Bearer" else "")


async def _perform(call: Call) -> dict[str, Any]:
    if call.name not in {"oauth.v2.access", "apps.connections.open", "api.test"}:
        call.authorize()
    elif call.name == "apps.connections.open" and call.token != call.world.app.app_token:
        raise Refused("invalid_auth" if call.token.startswith("xapp-") else "not_allowed_token_type")
    if call.method.per_minute:
        call.limit(((call.name, call._team.id if call._team else ""), ((call.method.per_minute, 60.0),)))
    _arguments(call)
    return await HANDLERS[call.name](call)


def _arguments(call: Call) -> None:
    """Check names and types of the parameters, and bring them into one form."""
    method, problems = call.method, list[str]()
    # bolt names the workspace in each call
    if call._team and call.args.pop("team_id", call.team.id) != call.team.id:
        raise Refused("team_not_found")
    for name in call.args:
        if name not in method.required | method.optional:
            problems.append(f"invalid parameter: {name} [json-pointer:/{name}]")
    problems += [
        f"missing required field: {name} [json-pointer:/{name}]"
        for name in sorted(method.required)
        if name not in call.args or (call.args[name] == "" and name != "status")
    ]
    if not problems:
        problems = [f"{problem} [json-pointer:/{name}]" for name in call.args if (problem := _convert(call, name))]
    if problems:
        raise Refused("invalid_arguments", *problems)


def _convert(call: Call, name: str) -> str:
    value = call.args[name]
    if value is None:
        return "must not be null"
    if name in STRUCTURED:
        if isinstance(value, str):
            try:
                call.args[name] = json.loads(value)
            except ValueError:
                known = {"blocks": "invalid_blocks_format", "metadata": "invalid_metadata_format"}
                raise Refused(known.get(name, "invalid_arguments"), f"must be JSON [json-pointer:/{name}]") from None
        return ""
    if name in FLAGS:
        flags = {"true": True, "1": True, "false": False, "0": False}
        if not isinstance(value, bool):
            if str(value).lower() not in flags:
                return "must be a boolean"
            call.args[name] = flags[str(value).lower()]
        return ""
    if name in NUMBERS:
        try:
            call.args[name] = int(value)
        except (TypeError, ValueError):
            return "must be a number"
        return ""
    return "" if isinstance(value, str) else "must be a string"
