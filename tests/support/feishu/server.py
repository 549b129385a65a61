"""The server: `python -m support.feishu.server` prints where it is, and serves until it is killed."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import Any

from aiohttp import web

from support.feishu.api import Api, Call
from support.feishu.delivery import Deliveries
from support.feishu.faults import Faults
from support.feishu.ops import Ops
from support.feishu.world import Refused, World


class Server:
    """Answers the bot, and the test."""

    def __init__(self) -> None:
        self.world, self.faults = World(), Faults()
        self.deliveries = Deliveries(self.world, self.faults)
        self.api = Api(self.world)
        self.ops = Ops(self.world, self.deliveries, self.faults)
        self.url = ""

    def make_app(self) -> web.Application:
        """Return the application."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/_control", self._control)
        app.router.add_post("/callback/ws/endpoint", self._endpoint)
        app.router.add_get("/ws/v2", self.deliveries.connect)
        app.router.add_post("/open-apis/auth/v3/tenant_access_token/internal", self._token)
        for method, path in self.api.routes:
            app.router.add_route(method, path, self._call)
        app.router.add_route("*", "/{tail:.*}", self._unknown)
        return app

    async def _control(self, request: web.Request) -> web.Response:
        asked = await request.json()
        try:
            return web.json_response({"result": await getattr(self.ops, asked["op"])(**asked["args"])})
        except Exception as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"})

    async def _endpoint(self, request: web.Request) -> web.Response:
        await self.faults.before(request, "POST /callback/ws/endpoint")
        body = await request.json()
        until, code = self.faults.endpoint
        if time.monotonic() < until:
            return web.json_response({"code": code, "msg": "not now"})
        if (body.get("AppID"), body.get("AppSecret")) != (self.world.app_id, self.world.app_secret):
            return web.json_response({"code": 1000040344, "msg": "invalid app"})
        self.faults.half_dead = False
        host = self.url.removeprefix("http://")
        query = f"device_id=1&service_id=33554678&access_key=secret&ticket={self.deliveries.ticket()}"
        config = {
            "ReconnectCount": -1, "ReconnectInterval": 1, "ReconnectNonce": 1,
            "PingInterval": self.world.settings.ping_every,
        }  # fmt: skip
        return web.json_response({"code": 0, "data": {"URL": f"ws://{host}/ws/v2?{query}", "ClientConfig": config}})

    async def _token(self, request: web.Request) -> web.Response:
        await self.faults.before(request, "POST /open-apis/auth")
        body = await request.json()
        if (body.get("app_id"), body.get("app_secret")) != (self.world.app_id, self.world.app_secret):
            return web.json_response({"code": 10014, "msg": "app secret invalid"})
        token, life = self.world.new_token()
        said = {"code": 0, "msg": "ok", "tenant_access_token": token, "expire": int(life)}
        return web.json_response(said)

    async def _call(self, request: web.Request) -> web.Response:
        resource = request.match_info.route.resource
        path = request.path if resource is None else resource.canonical
        method = f"{request.method} {path}"
        record: dict[str, Any] = {"method": method, "path": request.path, "at": time.time(), "code": None}
        self.world.calls.append(record)
        body, form = await _content(request)
        try:
            await self.faults.before(request, method)
            self.api.admit(request, method)
            data = await self.api.routes[request.method, path](Call(request, body, form))
        except Refused as refused:
            record["code"] = refused.code
            if not refused.meant and refused.code != 99991400:
                self.world.violate(f"{method}: {refused}")
            answer = {"code": refused.code, "msg": refused.msg}
            reset = {"x-ogw-ratelimit-reset": "1"} if refused.code == 99991400 else {}
            return web.json_response(answer, status=refused.status, headers=reset)
        record["code"] = 0
        self.faults.after(request, method)
        return web.json_response({"code": 0, "msg": "success"} | (data if "bot" in data else {"data": data}))

    async def _unknown(self, request: web.Request) -> web.Response:
        self.world.violate(f"{request.method} {request.path}: no such method")
        return web.json_response({"code": 99992404, "msg": "not found"}, status=404)


async def _content(request: web.Request) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a request holds: JSON, or a form whose files have a name and their content."""
    if not request.body_exists:
        return {}, {}
    if request.content_type == "application/json":
        return dict(await request.json()), {}
    if request.content_type != "multipart/form-data":
        return {}, {}
    form: dict[str, Any] = {}
    async for part in await request.multipart():
        content = await part.read()  # type: ignore[union-attr]
        form[str(part.name)] = (part.filename, bytes(content)) if part.filename else content.decode()  # type: ignore[union-attr]
    return {}, form


async def main(port: int) -> None:
    """Serve until killed."""
    server = Server()
    runner = web.AppRunner(server.make_app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(main(parser.parse_args().port))
