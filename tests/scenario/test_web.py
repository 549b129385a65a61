"""The web server over a real database, artifact store and Redis: pages, refusals, headers, metrics."""

import gzip
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis as sync_redis
import redis.asyncio
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer

from bot.web.links import LIFETIME, Links
from bot.web.server import Site, make_app
from bot.web.words import EN, WORDS, ZH, preferred
from jobs.artifacts import Artifacts
from jobs.db import migrate, open_engine, transaction
from jobs.embedded import EmbeddedServer
from jobs.events import progress_key, write_progress
from jobs.lifecycle import RunState
from jobs.models import (
    BenchmarkResult,
    DatasetTarget,
    EvalSpec,
    Failure,
    Interval,
    MetricResult,
    ModelTarget,
    Progress,
    Reproduce,
    Run,
    RunningScore,
    RunResult,
    SubsetScore,
    Tokens,
)  # fmt: skip
from jobs.store import RunRow, Store

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' {plotly}; "
    "style-src 'unsafe-inline'; img-src data: blob:; connect-src 'none'; form-action 'none'"
)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server.url


@dataclass
class Web:
    site: Site
    client: TestClient[Any, Any]
    redis_url: str
    checks: dict[str, bool]

    def add(self, *, language: str = "en", text: str = "run it", model: str = "qwen") -> Run:
        spec = EvalSpec(
            model=ModelTarget(name=model, model=model, eval_type="openai_api", api_url="http://10.0.0.5/v1"),
            datasets=(DatasetTarget(name="faq", benchmark="general_qa", subsets={"hr": 30, "it": 30}),),
            limit=20,
        )
        _, [run] = self.site.store.add_group(
            source=str(datetime.now(UTC)), platform="slack", channel="C1", thread="t", user="U1",
            language="zh" if language == "zh" else "en", text=text, specs=[spec],
        )  # fmt: skip
        return run

    def start(self, run: Run) -> Run:
        self.site.store.move(run.id, RunState.QUEUED, attempt=run.attempt + 1)
        return self.site.store.move(run.id, RunState.RUNNING, worker="gpu-1")

    def progress(self, run: Run, done: int, **more: Any) -> None:
        now = datetime.now(UTC)
        score = RunningScore(
            benchmark="faq", metric="accuracy", score=done / 80, scale=100, unit="%", num=done,
            interval=Interval(low=0.1, high=0.6, method="wilson"),
        )  # fmt: skip
        progress = Progress(
            attempt=run.attempt, phase="evaluating", benchmark="faq", done=done, total=40, rate=2.5, eta=75,
            scores=(score,), updated_at=now,
        )  # fmt: skip
        with sync_redis.Redis.from_url(self.redis_url) as client:
            write_progress(client, run.id, progress.model_copy(update=more))

    def succeed(self, run: Run, *, report: bytes | None = None) -> Run:
        result = RunResult(
            run_id=run.id, attempt=run.attempt, state=RunState.SUCCEEDED, model=run.spec.model.name,
            benchmarks=(benchmark_result(),), started_at=datetime.now(UTC), ended_at=datetime.now(UTC),
            reproduce=Reproduce(
                command="evalscope eval --model 'qwen'", env={"NLTK_DATA": "/nltk"},
                versions={"evalscope": "1.14.1"},
            ),
        )  # fmt: skip
        done = self.site.store.move(run.id, RunState.SUCCEEDED, result=result)
        if report is not None:
            self.site.artifacts.write(run.id, "reports/report.html", report)
            self.report_ready(run)
        return done

    def report_ready(self, run: Run) -> None:
        with transaction(self.site.store.engine) as session:
            row = session.get(RunRow, run.id)
            assert row is not None
            row.report_ready = True

    def path(self, url: str) -> str:
        return url.removeprefix(self.site.links.base)

    async def page(self, run: Run) -> str:
        answer = await self.client.get(self.path(self.site.links.run_url(run.id)))
        assert answer.status == 200
        return await answer.text()

    async def data(self, run: Run) -> dict[str, Any]:
        path = self.path(self.site.links.run_url(run.id)).replace("?", "/data?")
        answer = await self.client.get(path)
        assert answer.status == 200
        return dict(await answer.json())


def benchmark_result() -> BenchmarkResult:
    accuracy = MetricResult(
        name="accuracy", aggregation="mean", primary=True, direction="higher_is_better", unit="%", scale=100,
        score=0.625, num=40, interval=Interval(low=0.47, high=0.758, method="wilson"),
        subsets=(SubsetScore(name="hr", score=0.7, num=20), SubsetScore(name="it", score=0.55, num=20)),
    )  # fmt: skip
    errors = MetricResult(name="wer", aggregation="mean", direction="lower_is_better", score=0.31, num=40)
    return BenchmarkResult(
        name="faq", benchmark="general_qa", metrics=(accuracy, errors), requested=42, succeeded=40, errored=2,
        tokens=Tokens(prompt=12345, completion=678), latency_mean=0.8215,
    )  # fmt: skip


@pytest.fixture
async def web(tmp_path: Path, redis_url: str) -> AsyncIterator[Web]:
    engine = open_engine(f"sqlite:///{tmp_path / 'db'}")
    migrate(engine)
    client = redis.asyncio.Redis.from_url(redis_url)
    await client.flushall()
    checks = {"redis": True, "database": True}

    async def ready() -> dict[str, bool]:
        return checks

    site = Site(
        store=Store(engine), artifacts=Artifacts(f"file://{tmp_path / 'artifacts'}"), redis=client,
        links=Links("secret", "http://bot.example"), ready=ready,
        describe=lambda failure, language: f"{language}: {failure.code} of {failure.params.get('url')}",
    )  # fmt: skip
    async with TestClient(TestServer(make_app(site))) as http:
        yield Web(site=site, client=http, redis_url=redis_url, checks=checks)
    await client.aclose()
    engine.dispose()


class TestRunPage:
    async def test_before_it_begins(self, web: Web) -> None:
        run = web.add(text="20 of faq on qwen, please")
        text = await web.page(run)
        for said in (
            "20 of faq on qwen, please",
            "Waiting",
            EN.waiting_hint,
            "faq (40)",
            "20 per subset",
            "r1",
        ):
            assert said in text
        assert '<meta http-equiv="refresh"' in text  # for readers without JavaScript

    async def test_while_it_runs(self, web: Web) -> None:
        run = web.start(web.add())
        web.progress(run, 12)
        text = await web.page(run)
        for said in (
            '<progress aria-label="Progress" value="12" max="40">',
            "2.5 / s",
            "1 min 15 s",
            "15.0 %",
            "30 %",
        ):
            assert said in text
        first = await web.data(run)
        web.progress(run, 30, errors=3)
        second = await web.data(run)
        assert (first["progress"]["done"], second["progress"]["done"]) == (12, 30)
        assert second["version"] == first["version"]
        assert second["state"] == "running"
        assert second["again"]
        assert second["live"]["texts"]["errors"] == "3"
        assert second["live"]["scores"] == [["faq · accuracy", "37.5 %", "10.0 – 60.0 %", "30"]]

    async def test_silent_worker(self, web: Web) -> None:
        run = web.start(web.add())
        web.progress(run, 12, updated_at=datetime.fromtimestamp(datetime.now(UTC).timestamp() - 65, UTC))
        assert "No news from the worker for 1 min 5 s" in await web.page(run)

    async def test_unknown_total(self, web: Web) -> None:
        run = web.start(web.add())
        web.progress(run, 0, phase="loading", total=None, rate=None, eta=None, scores=(), benchmark="")
        with sync_redis.Redis.from_url(web.redis_url) as client:
            assert not client.hexists(progress_key(run.id), "total")
        assert (await web.data(run))["live"]["max"] == 40  # as planned

    async def test_progress_of_an_older_attempt_is_not_shown(self, web: Web) -> None:
        run = web.start(web.add())
        web.progress(run, 12, attempt=run.attempt - 1)
        assert (await web.data(run))["progress"] is None

    async def test_redis_away(self, web: Web) -> None:
        run = web.start(web.add())
        away = redis.asyncio.Redis.from_url("redis://127.0.0.1:1/0")
        async with TestClient(TestServer(make_app(replace(web.site, redis=away)))) as client:
            answer = await client.get(web.path(web.site.links.run_url(run.id)))
            assert answer.status == 200
        await away.aclose()

    async def test_scores(self, web: Web) -> None:
        run = web.start(web.add())
        web.site.artifacts.write(run.id, "logs/eval_log.log", b"x" * 70_000 + b"\n\x1b[32mall <b>done</b>\x1b[0m\n")
        before = (await web.data(run))["version"]
        web.succeed(run)
        data = await web.data(run)
        assert data["version"] != before
        assert data["ended"]
        assert data["again"]  # the report may follow
        text = await web.page(run)
        for said in (
            "62.5 %", "47.0 – 75.8 %", "70.0 %", "55.0 %", "0.31", "↑ higher is better", "↓ lower is better",
            "12,345 in", "678 out", "0.822 s", "evalscope eval --model &#39;qwen&#39;", "NLTK_DATA=/nltk",
            "evalscope 1.14.1", "all &lt;b&gt;done&lt;/b&gt;", EN.report_soon,
        ):  # fmt: skip
            assert said in text, said
        assert "xxxx" not in text  # the piece of a line that the tail begins with
        assert "\x1b" not in text
        assert EN.open_report not in text

    async def test_failure(self, web: Web) -> None:
        run = web.start(web.add(language="zh"))
        web.site.artifacts.write(run.id, "worker.log", b"no luck\n")
        failure = Failure(code="endpoint_refused", params={"url": "http://10.0.0.5/v1"}, detail="Errno 111")
        web.site.store.move(run.id, RunState.FAILED, failure=failure)
        text = await web.page(run)
        for said in (
            "zh: endpoint_refused of http://10.0.0.5/v1",
            "Errno 111",
            "no luck",
            ZH.failure,
            "失败",
            "zh-CN",
        ):
            assert said in text
        assert not (await web.data(run))["again"]

    async def test_language_is_the_groups(self, web: Web) -> None:
        text = await web.page(web.add(language="zh"))
        assert "等待中" in text
        assert EN.waiting_hint not in text

    async def test_what_people_and_models_write_stays_text(self, web: Web) -> None:
        run = web.start(web.add(text=EVIL, model=f"m{EVIL}"))
        web.progress(run, 1, benchmark=EVIL)
        web.site.artifacts.write(run.id, "worker.log", EVIL.encode())
        running = await web.page(run)
        failure = Failure(code="run_crashed", params={"url": EVIL}, detail=EVIL)
        web.site.store.move(run.id, RunState.FAILED, failure=failure)
        for text in (running, await web.page(run)):
            assert "&lt;script&gt;alert(1)" in text
            assert "<script>alert" not in text
            assert "<img src=x" not in text

    async def test_below_a_path(self, web: Web) -> None:
        run = web.add()
        site = replace(web.site, links=Links("secret", "https://corp.example/bot/"))
        async with TestClient(TestServer(make_app(site))) as client:
            answer = await client.get(site.links.run_url(run.id).removeprefix("https://corp.example/bot"))
            text = await answer.text()
        assert 'src="/bot/static/run.js' in text
        assert 'href="/bot/static/run.css' in text


class TestRefusals:
    async def test_no_word_about_a_run_without_a_good_link(self, web: Web) -> None:
        run = web.add(text="a secret")
        good = web.path(web.site.links.run_url(run.id))
        other = good.replace(f"/r{run.id}?", "/r77?")
        texts = set()
        for path in (
            f"/runs/r{run.id}",
            f"/runs/r{run.id}?t=x",
            "/runs/r99",
            "/runs/99?t=x",
            other,
            f"{good}x",
        ):
            for page in ("", "/data", "/report"):
                answer = await web.client.get(path.replace("?", f"{page}?") if "?" in path else path + page)
                assert answer.status == 403
                texts.add(await answer.text())
        assert len(texts) == 1
        assert "a secret" not in texts.pop()

    async def test_expired(self, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        url = web.path(web.site.links.run_url(web.add().id))
        later = int(time.time()) + LIFETIME + 2
        monkeypatch.setattr("itsdangerous.timed.TimestampSigner.get_timestamp", lambda _: later)
        answer = await web.client.get(url)
        assert answer.status == 410
        assert "expired" in await answer.text()
        answer = await web.client.get(url, headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})
        assert "已过期" in await answer.text()

    async def test_run_that_is_gone(self, web: Web) -> None:
        answer = await web.client.get(web.path(web.site.links.run_url(123)))
        assert answer.status == 404
        assert EN.problems["run_gone"][0] in await answer.text()

    @pytest.mark.parametrize(
        "path", ["/", "/nothing", "/runs/abc", "/runs/r0", "/runs/r-1", "/runs/r1/..%2f..%2fetc",
                 "/static/nothing.js", "/static/..%2fserver.py", "/static/plotly.min.js", f"/runs/r{10**30}"],
    )  # fmt: skip
    async def test_no_such_page(self, web: Web, path: str) -> None:
        answer = await web.client.get(path)
        assert answer.status == 404
        assert EN.problems["no_page"][0] in await answer.text()

    async def test_a_bug_shows_no_traceback(self, web: Web) -> None:
        run = web.start(web.add())
        web.site.store.move(run.id, RunState.FAILED, failure=Failure(code="x"))

        def broken(_failure: object, _language: object) -> str:
            raise ZeroDivisionError("inner workings")

        async with TestClient(TestServer(make_app(replace(web.site, describe=broken)))) as client:
            answer = await client.get(web.path(web.site.links.run_url(run.id)))
            assert answer.status == 500
            text = await answer.text()
        assert EN.problems["crash"][0] in text
        assert "inner workings" not in text
        assert "Traceback" not in text

    async def test_reports_token_opens_the_report_only(self, web: Web) -> None:
        run = web.succeed(web.start(web.add()), report=b"<p>report</p>")
        path = web.path(web.site.links.report_url(run.id))
        assert (await web.client.get(path)).status == 200
        for page in ("", "/data"):
            assert (await web.client.get(path.replace("/report", page))).status == 403

    async def test_other_methods(self, web: Web) -> None:
        assert (await web.client.post(web.path(web.site.links.run_url(web.add().id)))).status == 405


class TestHeaders:
    async def test_everywhere(self, web: Web) -> None:
        run = web.path(web.site.links.run_url(web.add().id))
        for path in ("/healthz", "/readyz", "/metrics", run, "/nothing", "/runs/r1", "/static/run.js"):
            headers = (await web.client.get(path)).headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Content-Security-Policy"] == (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            )
            if not path.startswith("/static"):
                assert headers["Cache-Control"] == "private, no-store"

    async def test_the_page_loads_only_our_own(self, web: Web) -> None:
        text = await web.page(web.add())
        assert "http://" not in text.replace("http://10.0.0.5/v1", "")
        assert "https://" not in text
        assert "style=" not in text
        for name, kind in (
            ("run.css", "text/css"),
            ("run.js", "text/javascript"),
            ("icon.svg", "image/svg+xml"),
        ):
            assert f"/static/{name}?v=" in text
            answer = await web.client.get(f"/static/{name}")
            assert (answer.status, answer.content_type) == (200, kind)

    async def test_report(self, web: Web) -> None:
        run = web.succeed(web.start(web.add()), report="<p>报告</p>".encode())
        answer = await web.client.get(web.path(web.site.links.report_url(run.id)))
        assert await answer.text() == "<p>报告</p>"
        assert answer.content_type == "text/html"
        own = f"http://127.0.0.1:{web.client.port}/static/plotly.min.js"
        public = "http://bot.example/static/plotly.min.js"
        policy = REPORT_POLICY.format(plotly=f"{public} {own}")
        assert answer.headers["Content-Security-Policy"] == policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        headers = {"Host": "bot.example"}
        answer = await web.client.get(web.path(web.site.links.report_url(run.id)), headers=headers)
        assert answer.headers["Content-Security-Policy"] == REPORT_POLICY.format(plotly=public)
        headers = {"Host": "evil; script-src *"}
        answer = await web.client.get(web.path(web.site.links.report_url(run.id)), headers=headers)
        assert answer.headers["Content-Security-Policy"] == REPORT_POLICY.format(plotly=public)

    async def test_no_report_yet(self, web: Web) -> None:
        run = web.succeed(web.start(web.add()))
        url = web.path(web.site.links.report_url(run.id))
        answer = await web.client.get(url)
        assert answer.status == 404
        assert EN.problems["no_report"][0] in await answer.text()
        web.report_ready(run)  # announced, but the file is gone
        assert (await web.client.get(url)).status == 404

    async def test_plotly(self, web: Web, tmp_path: Path) -> None:
        script = tmp_path / "plotly.min.js"
        script.write_bytes(b"var Plotly;")
        web.site.artifacts.share("plotly.min.js", script)
        answer = await web.client.get("/static/plotly.min.js", headers={"Accept-Encoding": "identity"})
        assert (await answer.read(), answer.content_type) == (b"var Plotly;", "text/javascript")
        headers = {"Accept-Encoding": "gzip"}
        async with ClientSession(auto_decompress=False) as session:
            packed = await session.get(web.client.make_url("/static/plotly.min.js"), headers=headers)
            assert gzip.decompress(await packed.read()) == b"var Plotly;"
        headers = {"If-None-Match": answer.headers["ETag"]}
        assert (await web.client.get("/static/plotly.min.js", headers=headers)).status == 304


class TestOperation:
    async def test_health(self, web: Web) -> None:
        answer = await web.client.get("/healthz")
        assert (answer.status, await answer.text()) == (200, "ok")

    async def test_readiness(self, web: Web) -> None:
        answer = await web.client.get("/readyz")
        assert (answer.status, await answer.json()) == (200, {"redis": True, "database": True})
        web.checks["redis"] = False
        answer = await web.client.get("/readyz")
        assert (answer.status, await answer.json()) == (503, {"redis": False, "database": True})

    async def test_readiness_check_that_fails(self, web: Web) -> None:
        async def ready() -> dict[str, bool]:
            raise OSError("redis://:password@host")

        async with TestClient(TestServer(make_app(replace(web.site, ready=ready)))) as client:
            answer = await client.get("/readyz")
            assert answer.status == 503
            assert "password" not in await answer.text()

    async def test_metrics(self, web: Web) -> None:
        run = web.start(web.add())
        web.add()
        url = web.path(web.site.links.run_url(run.id))
        await web.client.get(url)
        await web.client.get("/runs/r5?t=x")
        text = await (await web.client.get("/metrics")).text()
        assert 'scopebot_runs{state="running"} 1.0' in text
        assert 'scopebot_runs{state="waiting"} 1.0' in text
        assert 'scopebot_runs{state="failed"} 0.0' in text
        assert 'scopebot_http_requests_total{method="GET",route="/runs/{id}",status="200"} 1.0' in text
        assert 'status="403"' in text
        assert url.partition("t=")[2] not in text


def test_shared_files_are_written_once(tmp_path: Path) -> None:
    artifacts = Artifacts(f"file://{tmp_path / 'store'}")
    with pytest.raises(FileNotFoundError):
        artifacts.shared("plotly.min.js")
    source = tmp_path / "source"
    source.write_bytes(b"one")
    artifacts.share("plotly.min.js", source)
    kept = tmp_path / "store" / "shared" / "plotly.min.js"
    written = kept.stat().st_mtime_ns
    artifacts.share("plotly.min.js", source)
    assert kept.stat().st_mtime_ns == written
    source.write_bytes(b"three")  # another version of it
    artifacts.share("plotly.min.js", source)
    assert artifacts.shared("plotly.min.js") == b"three"
    assert [path.name for path in kept.parent.iterdir()] == ["plotly.min.js"]
    with pytest.raises(ValueError, match="not inside"):
        artifacts.shared("../r1/result.json")


def test_both_languages_say_the_same_things() -> None:
    assert EN.states.keys() == ZH.states.keys() == {str(state) for state in RunState}
    assert EN.phases.keys() == ZH.phases.keys()
    assert EN.problems.keys() == ZH.problems.keys()
    assert EN.directions.keys() == ZH.directions.keys()
    assert set(WORDS) == {"en", "zh"}


@pytest.mark.parametrize(
    ("header", "language"),
    [("", "en"), ("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("en-US,en;q=0.9,zh;q=0.8", "en"), ("fr, zh;q=0.5", "zh"),
     ("fr", "en"), ("zh;q=x", "en"), ("*", "en"), ("en;q=0.2,zh-TW;q=0.7", "zh")],
)  # fmt: skip
def test_preferred_language(header: str, language: str) -> None:
    assert preferred(header) == language


@pytest.mark.parametrize(("language", "said"), [("en", "were removed on"), ("zh", "已于")])
async def test_a_run_whose_files_are_gone_says_so_and_shows_its_scores(web: Web, language: str, said: str) -> None:
    run = web.succeed(web.start(web.add(language=language)), report=b"<html></html>")
    assert web.site.store.let_files_go(datetime.now(UTC)) >= {run.id}
    page = await web.page(run)
    assert said in page
    assert datetime.now(UTC).strftime("%Y-%m-%d") in page
    assert "accuracy" in page
    assert web.path(web.site.links.report_url(run.id)) not in page
    answer = await web.client.get(web.path(web.site.links.report_url(run.id)))
    assert answer.status == 410
    assert "This report was removed" in await answer.text()
