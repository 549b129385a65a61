"""The server's process: `python -m support.slack.server [--port N] [--teams N] [--seed N]`.

Its URL is the first line it prints.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import signal
import sys
from typing import Any

from aiohttp import web

from support.slack import api, api_chat, api_places, api_surfaces, chance, responses
from support.slack.delivery import Hub
from support.slack.modals import Modals
from support.slack.ops import Operations
from support.slack.people import People
from support.slack.world import Nonsense, World

MODULES = (api_chat, api_places, api_surfaces)
"""The methods' modules; importing them registers the methods."""
LARGEST = 64 * 1024 * 1024


class Server:
    """The routes, and what stands behind them."""

    world: World
    hub: Hub
    parts: tuple[People, Modals, Operations]

    def __init__(self, teams: int) -> None:
        self._begin(teams)
        self.app = web.Application(client_max_size=LARGEST, middlewares=[self._through_the_dark])
        self.app.add_routes([
            web.route("*", "/api/{method}", self._api),
            web.get("/link", self._link),
            web.post("/response/{key}", self._respond),
            web.post("/upload/v1/{team}/{file}", self._upload),
            web.get("/files/{file}/{name:.*}", self._file),
            web.get("/oauth/v2/authorize", self._authorize),
            web.post("/control/{name}", self._control),
        ])  # fmt: skip

    def _begin(self, teams: int) -> None:
        self.world = World(teams)
        self.hub = Hub(self.world)
        self.parts = (People(self.world), Modals(self.world, self.hub), Operations(self.world, self.hub))

    async def _reset(self, teams: int = 0) -> None:
        """Forget everything, and begin anew at the same address."""
        old = self.world
        await self.hub.close()
        self._begin(teams or len(old.teams))
        self.world.url = old.url

    @web.middleware
    async def _through_the_dark(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Let nothing through while it is dark, and drop then what came meanwhile."""
        if not self.world.faults.dark or request.path.startswith("/control/"):
            response: web.StreamResponse = await handler(request)
            return response
        await self.world.faults.light()
        return api.lost(request)

    async def _api(self, request: web.Request) -> web.StreamResponse:
        return await api.answer(self.world, request)

    async def _link(self, request: web.Request) -> web.StreamResponse:
        return await self.hub.link(request)

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        return await responses.respond(self.world, request)

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        fault = self.world.faults.take("upload")
        if fault and fault.before and fault.kind != "lose":
            return api.failed(fault)
        team = self.world.teams.get(request.match_info["team"])
        file = team.files.get(request.match_info["file"]) if team else None
        if file is None or file.uploaded:
            return web.Response(status=404, text="no such upload")
        if request.content_type == "multipart/form-data":
            form = await request.post()
            parts = [part for part in form.values() if isinstance(part, web.FileField)]
            data = parts[0].file.read() if parts else b""
        else:
            data = await request.read()
        if len(data) != file.size:
            self.world.violate("upload_length", f"{len(data)} bytes, not {file.size}")
            return web.Response(status=400, text="wrong length")
        file.content, file.uploaded = data, True
        if fault and fault.kind == "lose":
            return api.lost(request)
        return web.Response(text=f"OK - {len(data)}")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        for team in self.world.teams.values():
            file = team.files.get(request.match_info["file"])
            if file and team.bot_token == token and not team.token_state and "files:read" in team.scopes:
                return web.Response(body=file.content, content_type=file.mimetype)
        # Slack shows its login page to whoever may not see a file
        return web.Response(text="<!DOCTYPE html><title>Slack</title>Sign in", content_type="text/html")

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        """Allow the app at once, as somebody who presses Allow."""
        query, app = request.query, self.world.app
        if query.get("client_id") != app.client_id:
            return web.Response(status=400, text="invalid client_id")
        code = self.parts[2].authorize(query.get("team", ""))
        separator = "&" if "?" in query["redirect_uri"] else "?"
        raise web.HTTPFound(f"{query['redirect_uri']}{separator}code={code}&state={query.get('state', '')}")

    async def _control(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        operation = next((getattr(part, name) for part in self.parts if hasattr(part, name)), None)
        if name == "reset":
            operation = self._reset
        if operation is None or name.startswith("_"):
            return web.json_response({"error": f"no such operation: {name}"}, status=404)
        try:
            result = operation(**json.loads(await request.read()))
            if inspect.isawaitable(result):
                result = await result
        except (Nonsense, TypeError, KeyError, AttributeError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)
        except Exception as error:
            return web.json_response({"error": f"the server failed: {error!r}"}, status=500)
        return web.json_response({"result": result})

    async def run(self, port: int) -> None:
        """Serve until told to stop."""
        over = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, over.set)
        runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.world.url = f"http://{host}:{port}"
        sys.stdout.write(f"{self.world.url}\n")
        sys.stdout.flush()
        await over.wait()
        await self.hub.close()
        await runner.cleanup()


def main() -> None:
    """Run the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--teams", type=int, default=1)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    chance.seed(options.seed)

    async def serve() -> None:
        await Server(options.teams).run(options.port)

    asyncio.run(serve())


if __name__ == "__main__":
    main()
