"""The web server: run pages, reports, health and metrics.

A page opens with its signed link only. What stands on it was written by people and models: the templates
escape it, and no page may load or run anything but our own files. EvalScope's report is a page of scripts
that holds what the model wrote; it runs in a sandbox without an origin and reaches nothing.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import structlog
from aiohttp import hdrs, web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest
from redis import RedisError
from sqlalchemy import func, select

from bot.web import pages
from bot.web.links import LinkExpired, LinkInvalid
from bot.web.words import Language, Problem, preferred
from handlers.verdicts import first_verdicts
from jobs.db import reading
from jobs.errors import UnknownRun
from jobs.events import parse_progress, progress_key
from jobs.lifecycle import ENDED, RunState
from jobs.store import RunRow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import redis.asyncio
    from aiohttp.typedefs import Handler

    from bot.web.links import Links
    from jobs.artifacts import Artifacts
    from jobs.models import Failure, Group, Progress, Run
    from jobs.store import Store

log = structlog.get_logger(__name__)

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' {plotly}; "
    "style-src 'unsafe-inline'; img-src data: blob:; connect-src 'none'; form-action 'none'"
)
REPORT = "reports/report.html"
PLOTLY = "plotly.min.js"
LOGS = ("logs/eval_log.log", "perf/benchmark.log", "worker.log")
LOG_TAIL = 64 * 1024
READY_WITHIN = 5.0
STATIC_FOR = "public, max-age=86400"
HOST = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?", re.IGNORECASE)
STATUS: dict[Problem, int] = {
    "link_invalid": 403, "link_expired": 410, "run_gone": 404, "no_report": 404, "files_gone": 410,
    "no_page": 404, "crash": 500,
}  # fmt: skip


Hooks = dict[str, "Handler"]
"""What chat platforms have served, by path; it may change while the server runs."""


@dataclass(frozen=True)
class Site:
    """What the web server shows, and where it finds it."""

    store: Store
    artifacts: Artifacts
    redis: redis.asyncio.Redis
    links: Links
    ready: Callable[[], Awaitable[dict[str, bool]]]
    """What must work before the bot can serve people, by name."""
    describe: Callable[[Failure, Language], str]
    """The text of a failure, as the chat says it."""
    hooks: Hooks = field(default_factory=dict)


def make_app(site: Site) -> web.Application:
    """Return the application. It must run with `access_log=None`: addresses hold tokens."""
    server = _Server(site)
    app = web.Application(middlewares=[server.middleware])
    app.on_response_prepare.append(_harden)
    run = r"/runs/{id:r?[1-9]\d{0,8}}"
    app.add_routes(
        [
            web.get("/healthz", server.healthz),
            web.get("/readyz", server.readyz),
            web.get("/metrics", server.metrics),
            web.get(run, server.run_page),
            web.get(f"{run}/data", server.run_data),
            web.get(f"{run}/report", server.report),
            web.get(f"/static/{PLOTLY}", server.plotly),
            web.get("/static/{name}", server.static),
            web.route("*", r"/{platform:slack|feishu}/{hook}", server.hook),
        ]
    )
    return app


class _Problem(Exception):
    """There is nothing to see; carries which page says so."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem)


class _Server:
    """The handlers over one site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._plotly: tuple[str, bytes] | None = None
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "scopebot_http_requests", "HTTP requests by route and status", ("method", "route", "status"),
            registry=self._registry,
        )  # fmt: skip
        self._runs = Gauge("scopebot_runs", "Runs by state", ("state",), registry=self._registry)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn what goes wrong into a page that says what to do, and count."""
        try:
            response = await handler(request)
        except _Problem as error:
            response = self._problem(request, error.problem)
        except web.HTTPNotFound:
            response = self._problem(request, "no_page")
        except web.HTTPException as error:
            self._count(request, error.status)
            raise
        except Exception:
            log.exception("web request failed", method=request.method, route=_route(request))
            response = self._problem(request, "crash")
        self._count(request, response.status)
        return response

    @property
    def _base(self) -> str:
        """The path below which people reach the bot."""
        return urlsplit(self._site.links.base).path

    async def healthz(self, _request: web.Request) -> web.Response:
        """Tell that the process lives."""
        return web.Response(text="ok")

    async def readyz(self, _request: web.Request) -> web.Response:
        """Tell what works."""
        try:
            checks = await asyncio.wait_for(self._site.ready(), READY_WITHIN)
        except Exception:  # a check that cannot even answer
            log.exception("readiness check failed")
            checks = {"checks": False}
        return web.json_response(checks, status=200 if all(checks.values()) else 503)

    async def metrics(self, _request: web.Request) -> web.Response:
        """Give the metrics in Prometheus' text form."""
        for state, number in (await asyncio.to_thread(_count_runs, self._site.store)).items():
            self._runs.labels(state).set(number)
        text = generate_latest(self._registry)
        return web.Response(body=text, headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_LATEST})

    async def run_page(self, request: web.Request) -> web.Response:
        """Show a run."""
        run = await self._open(request)
        text = pages.render_run(await self._view(run, with_log=True), self._base)
        return web.Response(text=text, content_type="text/html")

    async def run_data(self, request: web.Request) -> web.Response:
        """Give what changes on a run's page."""
        run = await self._open(request)
        return web.json_response(pages.data(await self._view(run, with_log=False)))

    async def report(self, request: web.Request) -> web.Response:
        """Show EvalScope's HTML report, as it was written, in its sandbox."""
        run = await self._open(request, report=True)
        if run.files_gone_at is not None:
            raise _Problem("files_gone")
        if not run.report_ready:
            raise _Problem("no_report")
        try:
            body = await asyncio.to_thread(self._site.artifacts.read, run.id, REPORT)
        except FileNotFoundError as error:
            raise _Problem("no_report") from error
        response = web.Response(body=body, content_type="text/html", charset="utf-8")
        response.headers["Content-Security-Policy"] = REPORT_POLICY.format(plotly=self._plotly_urls(request))
        response.enable_compression()
        return response

    async def plotly(self, request: web.Request) -> web.Response:
        """Give the charts' script, which a worker put into the artifact store with the first report."""
        if self._plotly is None:
            try:
                script = await asyncio.to_thread(self._site.artifacts.shared, PLOTLY)
            except FileNotFoundError as error:
                raise _Problem("no_page") from error
            packed = await asyncio.to_thread(gzip.compress, script, 6)
            self._plotly = (hashlib.sha256(script).hexdigest(), packed)
        tag, packed = self._plotly
        headers = {"Cache-Control": STATIC_FOR, hdrs.ETAG: f'"{tag}"', hdrs.VARY: "Accept-Encoding"}
        if any(known.value == tag for known in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            headers[hdrs.CONTENT_ENCODING] = "gzip"
            body = packed
        else:
            body = await asyncio.to_thread(gzip.decompress, packed)
        return web.Response(body=body, content_type="text/javascript", charset="utf-8", headers=headers)

    async def static(self, request: web.Request) -> web.Response:
        """Give one of our own files, by its name in a fixed table."""
        found = pages.STATIC.get(request.match_info["name"])
        if found is None:
            raise _Problem("no_page")
        body, kind = found
        headers = {"Cache-Control": STATIC_FOR}
        return web.Response(body=body, content_type=kind, charset="utf-8", headers=headers)

    async def hook(self, request: web.Request) -> web.StreamResponse:
        """Hand a request to the platform that it is for."""
        handler = self._site.hooks.get(request.path)
        if handler is None:
            raise _Problem("no_page")
        return await handler(request)

    async def _open(self, request: web.Request, *, report: bool = False) -> Run:
        """Return the run whose link this is; without a good token nothing tells whether there is one."""
        run_id = int(request.match_info["id"].removeprefix("r"))
        try:
            self._site.links.check(run_id, request.query.get("t", ""), report=report)
        except LinkExpired as error:
            raise _Problem("link_expired") from error
        except LinkInvalid as error:
            raise _Problem("link_invalid") from error
        try:
            return await asyncio.to_thread(self._site.store.run, run_id)
        except UnknownRun as error:
            raise _Problem("run_gone") from error

    async def _view(self, run: Run, *, with_log: bool) -> pages.RunView:
        group: Group = await asyncio.to_thread(self._site.store.group, run.group_id)
        progress = await self._progress(run)
        return pages.RunView(
            run=run,
            group=group,
            progress=None if run.state in ENDED else progress,
            verdicts=first_verdicts(run, progress),
            log=await asyncio.to_thread(self._log_tail, run.id) if with_log else "",
            report_url=self._site.links.report_url(run.id).removeprefix(self._site.links.base),
            describe=self._site.describe,
        )

    async def _progress(self, run: Run) -> Progress | None:
        """Return how far the current attempt is; what an older attempt left behind does not count."""
        try:
            reply = self._site.redis.hgetall(progress_key(run.id))
            fields = await cast("Awaitable[dict[bytes, bytes]]", reply)
        except RedisError as error:
            log.warning("no progress: Redis does not answer", run=run.name, error=str(error))
            return None
        progress = parse_progress(fields)
        return progress if progress is not None and progress.attempt == run.attempt else None

    def _log_tail(self, run_id: int) -> str:
        for name in LOGS:
            try:
                tail = self._site.artifacts.tail(run_id, name, LOG_TAIL)
            except OSError as error:
                if not isinstance(error, FileNotFoundError):
                    log.warning("no log from the artifact store", run=f"r{run_id}", error=str(error))
                continue
            if tail:
                return pages.readable_log(tail, whole=len(tail) < LOG_TAIL)
        return ""

    def _plotly_urls(self, request: web.Request) -> str:
        """Return where the report may load plotly from: the public address, and the one asked at."""
        public = self._site.links.base
        urls = [f"{public}/static/{PLOTLY}"]
        if HOST.fullmatch(request.host) and request.host.lower() != urlsplit(public).netloc.lower():
            urls.append(f"{request.scheme}://{request.host}/static/{PLOTLY}")
        return " ".join(urls)

    def _problem(self, request: web.Request, problem: Problem) -> web.Response:
        language = preferred(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))
        text = pages.render_problem(problem, language, self._base)
        return web.Response(text=text, content_type="text/html", status=STATUS[problem])

    def _count(self, request: web.Request, status: int) -> None:
        self._requests.labels(request.method, _route(request), str(status)).inc()


def _route(request: web.Request) -> str:
    """Return the pattern of the address, never the address: it may hold a token."""
    resource = request.match_info.route.resource
    return "unknown" if resource is None else resource.canonical


def _count_runs(store: Store) -> dict[str, int]:
    """Return how many runs are in each state, 0 included."""
    numbers = {str(state): 0 for state in RunState}
    with reading(store.engine) as session:
        counted = session.execute(select(RunRow.state, func.count()).group_by(RunRow.state)).all()
        return numbers | {row[0]: row[1] for row in counted}


async def _harden(_request: web.Request, response: web.StreamResponse) -> None:
    """Close what a response does not open itself."""
    headers = response.headers
    headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Cache-Control", "private, no-store")
