"""Run pages and reports in Chromium: live progress, charts under the policy, an attack that reaches nothing.

The report is one that EvalScope wrote: a real worker evaluates the mock model, once for all tests here.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis as sync_redis
import redis.asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, async_playwright, expect

from bot.web.links import Links
from bot.web.server import Site, make_app
from jobs.artifacts import Artifacts
from jobs.config import Settings
from jobs.db import migrate, open_engine, transaction
from jobs.embedded import EmbeddedServer
from jobs.events import EVENTS, Event, write_progress
from jobs.fleet import living_workers
from jobs.ledger import Ledger
from jobs.lifecycle import RunState
from jobs.models import (
    DatasetTarget,
    EvalSpec,
    Failure,
    Interval,
    ModelTarget,
    Progress,
    Run,
    RunningScore,
    RunResult,
)  # fmt: skip
from jobs.queue import enqueue
from jobs.same_store import publish
from jobs.sample import SAMPLE_DATASETS
from jobs.store import RunRow, Store

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WORKER = "from jobs.worker import run_worker; from jobs.config import Settings; run_worker(Settings())"
ROOT = Path(__file__).resolve().parents[2]
EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no {CHROMIUM}: apt-get install chromium"),
]


@dataclass
class Office:
    """A database, an artifact store and a Redis in which one real run has ended with a report."""

    store: Store
    artifacts: Artifacts
    redis_url: str
    run: Run


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("data")
    with EmbeddedServer(folder) as server:
        settings = Settings(SCOPEBOT_DATA_DIR=folder, REDIS_URL=server.url)
        with sync_redis.Redis.from_url(server.url) as client:
            publish(Artifacts(settings.effective_artifacts_url), client, others=False)
        environment = os.environ | {"SCOPEBOT_DATA_DIR": str(folder), "REDIS_URL": server.url}
        with (folder / "worker.log").open("wb") as output:
            worker = subprocess.Popen(
                [sys.executable, "-c", WORKER], cwd=ROOT, env=environment, stdout=output, stderr=output
            )
        engine = open_engine(settings.effective_database_url)
        migrate(engine)
        try:
            with sync_redis.Redis.from_url(server.url) as client:
                store = Store(engine)
                run = evaluate(store, client, settings)
                yield Office(store, Artifacts(settings.effective_artifacts_url), server.url, run)
        finally:
            worker.terminate()
            worker.wait(30)
            engine.dispose()


def evaluate(store: Store, client: "sync_redis.Redis", settings: Settings) -> Run:
    """Evaluate the sample benchmark with the mock model, until the report is there."""
    model = ModelTarget(name="mock", model="mock_llm", eval_type="mock_llm")
    run = add_run(store, model, text="try the sample")
    wait_for(lambda: living_workers(client))
    run = store.move(run.id, RunState.QUEUED, attempt=1, worker=living_workers(client)[0]["name"])
    enqueue(client, run, key=settings.effective_job_key, timeout=600)
    ledger = Ledger(store.engine)

    def reported() -> bool:
        read: Any = client.xread({EVENTS: ledger.position()}, block=200)
        for _, entries in read or ():
            ledger.apply([(key.decode(), Event.model_validate_json(f[b"event"])) for key, f in entries])
        now = store.run(run.id)
        assert now.failure is None
        return now.report_ready

    wait_for(reported)
    return store.run(run.id)


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def add_run(store: Store, model: ModelTarget, text: str, *, language: str = "en") -> Run:
    datasets = tuple(
        DatasetTarget(
            name=d.name, benchmark=d.benchmark, local=True, subsets=d.subsets,
            args={name: value for name, value in d.dataset_args.items() if name != "local_path"},
        )
        for d in SAMPLE_DATASETS.values()
    )  # fmt: skip
    _, [run] = store.add_group(
        source=str(time.time_ns()), platform="console", channel="c", thread="t", user="u",
        language="zh" if language == "zh" else "en", text=text,
        specs=[EvalSpec(model=model, datasets=datasets, limit=5)],
    )  # fmt: skip
    return run


@dataclass
class Running:
    """A web server on a port of its own, and every request it got."""

    site: Site
    seen: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


@asynccontextmanager
async def serve(office: Office) -> AsyncIterator[Running]:
    async def ready() -> dict[str, bool]:
        return {}

    client = redis.asyncio.Redis.from_url(office.redis_url)
    site = Site(
        store=office.store, artifacts=office.artifacts, redis=client, links=Links("secret", ""), ready=ready,
        describe=lambda failure, _: f"It failed: {failure.code} {failure.params}",
    )  # fmt: skip
    running = Running(site)
    app = make_app(site)

    @web.middleware
    async def record(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        running.seen.append(f"{request.method} {request.path}")
        response = await handler(request)
        running.statuses[response.status] += 1
        return response

    app.middlewares.insert(0, record)
    async with TestServer(app) as server:
        site.links.public_url = str(server.make_url("/"))
        yield running
    await client.aclose()


@pytest.fixture
async def running(office: Office) -> AsyncIterator[Running]:
    async with serve(office) as server:
        yield server


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        await launched.close()


@pytest.fixture
async def page(browser: Browser) -> Page:
    return await browser.new_page()


def tell(office: Office, run: Run, done: int, **more: object) -> None:
    score = RunningScore(
        benchmark="sample_qa", metric="accuracy", score=done / 40, scale=100, unit="%", num=done,
        interval=Interval(low=done / 80, high=min(1, done / 20), method="wilson"),
    )  # fmt: skip
    progress = Progress(
        attempt=run.attempt, phase="evaluating", benchmark="sample_qa", done=done, total=20, rate=2.5,
        eta=20 - done, scores=(score,), updated_at=datetime.now(UTC),
    )  # fmt: skip
    with sync_redis.Redis.from_url(office.redis_url) as client:
        write_progress(client, run.id, progress.model_copy(update=more))


def start(office: Office, *, text: str = "run it", model: str = "qwen", language: str = "en") -> Run:
    target = ModelTarget(name=model, model=model, eval_type="mock_llm")
    run = add_run(office.store, target, text, language=language)
    office.store.move(run.id, RunState.QUEUED, attempt=1)
    return office.store.move(run.id, RunState.RUNNING, worker="gpu-1")


def complete(office: Office, run: Run) -> None:
    """End a run with the scores and the report of the real one."""
    real = office.run.result
    assert real is not None
    result = RunResult.model_validate(real.model_dump() | {"run_id": run.id})
    office.store.move(run.id, RunState.SUCCEEDED, result=result)


def add_report(office: Office, run: Run, html: bytes) -> None:
    office.artifacts.write(run.id, "reports/report.html", html)
    with transaction(office.store.engine) as session:
        row = session.get(RunRow, run.id)
        assert row is not None
        row.report_ready = True


async def test_shows_a_real_run(office: Office, running: Running, page: Page) -> None:
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    await page.goto(running.site.links.run_url(office.run.id))
    await expect(page.locator("h1")).to_contain_text("mock")
    await expect(page.locator(".state")).to_have_text("Succeeded")
    scores = page.locator("table.scores").first
    await expect(scores.locator("tr.primary")).to_contain_text("accuracy")
    await expect(scores.locator("tr.subset").first).to_contain_text("en")
    await expect(page.locator("#command")).to_contain_text("evalscope eval --model mock_llm")
    await expect(page.locator("pre.log")).to_contain_text("general_mcq")
    await expect(page.locator("blockquote")).to_have_text("try the sample")
    button = page.locator("button.copy").first
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await button.click()
    await expect(button).to_have_text("Copied")
    assert (await page.evaluate("navigator.clipboard.readText()")).startswith("evalscope eval")
    assert problems == []


async def test_progress_moves_without_a_reload(office: Office, running: Running, page: Page) -> None:
    run = start(office)
    await page.goto(running.site.links.run_url(run.id))
    await page.evaluate("window.here = true")
    await expect(page.locator("main")).to_contain_text("It has not begun")
    for done in (3, 11, 17):
        tell(office, run, done)
        await expect(page.locator("[data-live=done]")).to_have_text(str(done))
        await expect(page.locator("[data-live=eta]")).to_have_text(f"{20 - done} s")
        await expect(page.locator("[data-scores] td").first).to_have_text(f"{done * 2.5:.1f} %")
        assert await page.locator("progress").evaluate("bar => bar.value") == done
    complete(office, run)
    await expect(page.locator(".state")).to_have_text("Succeeded")
    await expect(page.locator("table.scores").first).to_contain_text("accuracy")
    await expect(page.locator("a.button")).to_have_count(0)
    add_report(office, run, b"<p>the report</p>")
    await expect(page.locator("a.button")).to_have_text("Open the report")
    assert await page.evaluate("window.here")
    before = len(running.seen)
    await asyncio.sleep(2.5)
    assert len(running.seen) == before  # it is all there: no more questions


async def test_works_without_javascript(office: Office, running: Running, browser: Browser) -> None:
    run = start(office)
    tell(office, run, 7)
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(running.site.links.run_url(run.id))
    await expect(page.locator("[data-live=done]")).to_have_text("7")
    await expect(page.locator(".state")).to_have_text("Running")
    await context.close()


async def test_says_when_the_server_is_away(office: Office, running: Running, page: Page) -> None:
    run = start(office)
    tell(office, run, 1)
    await page.goto(running.site.links.run_url(run.id))
    await page.route("**/data?*", lambda route: route.abort())
    await expect(page.locator("[data-offline]")).to_be_visible()
    await page.unroute("**/data?*")
    tell(office, run, 2)
    await expect(page.locator("[data-live=done]")).to_have_text("2", timeout=20_000)
    await expect(page.locator("[data-offline]")).to_be_hidden()


async def test_what_people_and_models_write_is_text(office: Office, running: Running, page: Page) -> None:
    run = start(office, text=EVIL, model=f"m{EVIL}")
    tell(office, run, 1, benchmark=EVIL)
    await page.goto(running.site.links.run_url(run.id))
    tell(office, run, 2, benchmark=EVIL)  # through the page's own script, too
    await expect(page.locator("[data-live=done]")).to_have_text("2")
    await expect(page.locator("[data-live=now]")).to_contain_text(EVIL)
    office.artifacts.write(run.id, "worker.log", EVIL.encode())
    failure = Failure(code="run_crashed", params={"d": EVIL}, detail=EVIL)
    office.store.move(run.id, RunState.FAILED, failure=failure)
    await expect(page.locator(".failed .said")).to_contain_text("<script>")
    await expect(page.locator("h1")).to_contain_text(EVIL)
    await expect(page.locator("blockquote")).to_have_text(EVIL)
    await expect(page.locator("pre.log")).to_have_text(EVIL)
    assert "owned" not in (await page.title()).partition("<script>")[0]
    assert await page.locator("main script, main img").count() == 0
    assert not [path for path in running.seen if path.endswith("/x")]


def test_the_report_is_made_to_load_our_plotly(office: Office) -> None:
    from jobs.evalscope.fixes import plotly_script

    html = office.artifacts.read(office.run.id, "reports/report.html").decode()
    assert 'src="/static/plotly.min.js"' in html
    assert "modelscope.cn/third-part" not in html
    assert office.artifacts.shared("plotly.min.js") == plotly_script().read_bytes()


async def test_the_report_draws_its_charts(office: Office, running: Running, page: Page) -> None:
    outside: list[str] = []
    await page.route(lambda url: not url.startswith(running.site.links.base), lambda route: route.abort())
    page.on("requestfailed", lambda request: outside.append(request.url))
    response = await page.goto(running.site.links.report_url(office.run.id))
    assert response is not None
    assert response.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")
    await expect(page.locator("svg.main-svg").first).to_be_visible()
    assert await page.locator(".js-plotly-plot .point, .js-plotly-plot .slice").count() > 0
    assert await page.evaluate("window.origin") == "null"
    assert outside == []
    assert set(running.seen) == {f"GET /runs/r{office.run.id}/report", "GET /static/plotly.min.js"}


ATTACK = """
<form id="f" method="post" action="/runs/r1/data"><input name="a" value="b"></form>
<img src="/runs/r1/data?img" onerror="window.errored = true">
<iframe src="/runs/r1/data?frame"></iframe><link rel="stylesheet" href="/static/run.css?attack">
<object data="/runs/r1/data?object"></object><base href="/runs/">
<script src="/static/run.js?attack"></script>
<script>
  window.report = {};
  const note = (name, act) => {
    try { window.report[name] = String(act()); } catch (e) { window.report[name] = e.name; }
  };
  note("cookie", () => document.cookie);
  note("storage", () => localStorage.length);
  note("form", () => document.getElementById("f").submit());
  note("beacon", () => navigator.sendBeacon("/runs/r1/data", "x"));
  note("popup", () => window.open("/runs/r1/data?popup"));
  note("opener", () => window.opener);
  note("socket", () => new WebSocket(location.origin.replace("http", "ws") + "/runs/r1/data") && "made");
  note("worker", () => new Worker("/static/run.js?worker") && "made");
  fetch("/runs/r1/data")
    .then(() => { window.report.fetch = "ok"; }, (e) => { window.report.fetch = e.name; });
  fetch(location.pathname.replace("/report", "/data") + location.search, { credentials: "include" })
    .then(() => { window.report.own = "ok"; }, (e) => { window.report.own = e.name; });
  const request = new XMLHttpRequest();
  request.onerror = () => { window.report.xhr = "refused"; };
  request.open("GET", "/runs/r1/data");
  request.send();
</script>
"""
LEAVE = "<script>setTimeout(() => { top.location = '/runs/r1/data' + location.search; }, 200);</script>"


def attacked(office: Office, attack: str) -> bytes:
    """Return the real report with what a model might have written into it."""
    html = office.artifacts.read(office.run.id, "reports/report.html").decode()
    return html.replace("</body>", f"{attack}</body>").encode()


async def test_an_attack_in_the_report_reaches_nothing(office: Office, running: Running, page: Page) -> None:
    run = start(office)
    complete(office, run)
    add_report(office, run, attacked(office, ATTACK))
    await page.context.add_cookies([{"name": "session", "value": "precious", "url": running.site.links.base}])
    await page.goto(running.site.links.run_url(run.id))
    async with page.context.expect_page() as opened:
        await page.locator("a.button").click()
    report = await opened.value
    running.seen.clear()  # the report itself was asked for already or is about to be
    await report.wait_for_function("() => ['fetch', 'own', 'xhr'].every((name) => (window.report || {})[name])")
    await asyncio.sleep(1)
    found = await report.evaluate("window.report")
    assert found["cookie"] == found["storage"] == "SecurityError"
    assert found["opener"] == found["popup"] == "null"
    assert found["fetch"] == found["own"] == "TypeError"
    assert found["xhr"] == "refused"
    await expect(report.locator("svg.main-svg").first).to_be_visible()  # the charts are drawn all the same
    allowed = {f"GET /runs/r{run.id}/report", "GET /static/plotly.min.js"}
    assert set(running.seen) <= allowed
    assert len(report.context.pages) == 2


async def test_a_report_that_leaves_takes_nothing_along(office: Office, running: Running, page: Page) -> None:
    """A page may always leave for another address, with what it can read: its link opens this report only."""
    run = start(office)
    complete(office, run)
    leave = LEAVE.replace("r1", f"r{run.id}")
    add_report(office, run, attacked(office, leave))
    await page.goto(running.site.links.report_url(run.id))
    await page.wait_for_url("**/data?*")
    await expect(page.locator("h1")).to_have_text("This link does not open anything")
    assert running.statuses[403] == 1


async def test_a_framed_report_cannot_move_its_frame(office: Office, running: Running, page: Page) -> None:
    run = start(office)
    complete(office, run)
    add_report(office, run, attacked(office, LEAVE))
    report = running.site.links.report_url(run.id)

    async def frame(_request: web.Request) -> web.Response:
        return web.Response(text=f"<h1>around</h1><iframe src='{report}'></iframe>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", frame)
    async with TestServer(app) as around:
        await page.goto(str(around.make_url("/")))
        await page.frame_locator("iframe").locator("svg.main-svg").first.wait_for()
        await asyncio.sleep(1)
        assert page.url == str(around.make_url("/"))
    assert not [path for path in running.seen if path.endswith("/data")]


SHOTS = os.environ.get("SCOPEBOT_SCREENSHOTS")


@pytest.mark.skipif(SHOTS is None, reason="SCOPEBOT_SCREENSHOTS names no folder to draw the pages into")
@pytest.mark.parametrize("name", ["light", "dark", "phone"])
async def test_screenshots(office: Office, running: Running, browser: Browser, name: str) -> None:
    assert SHOTS is not None
    width = 390 if name == "phone" else 1100
    language = "zh" if name == "dark" else "en"
    live = start(office, text="用 20 条样本跑一下 sample_qa", model="qwen-plus", language=language)
    tell(office, live, 11)
    failed = start(office, text="run it", model="qwen-turbo")
    failure = Failure(code="endpoint_refused", params={"url": "http://10.0.0.5/v1"}, detail="[Errno 111]")
    office.store.move(failed.id, RunState.FAILED, failure=failure)
    context = await browser.new_context(
        color_scheme="dark" if name == "dark" else "light", viewport={"width": width, "height": 900}
    )
    page = await context.new_page()
    for kind, url in (
        ("ended", running.site.links.run_url(office.run.id)), ("live", running.site.links.run_url(live.id)),
        ("failed", running.site.links.run_url(failed.id)), ("problem", f"{running.site.links.base}/runs/r1"),
        ("report", running.site.links.report_url(office.run.id)),
    ):  # fmt: skip
        await page.goto(url)
        await asyncio.sleep(1)
        await page.screenshot(path=Path(SHOTS) / f"{kind}-{name}.png", full_page=kind != "report")
        if kind != "report":
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await context.close()
