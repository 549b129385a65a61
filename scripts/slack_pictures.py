"""Examples of our Slack messages in docs/slack: their Block Kit JSON, and pictures of it; --check compares the JSON.

The runs are made up; cards and renderer are the real ones.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from slack_page import page

from bot.render.slack import Level, render, render_home
from bot.services import make_vocabulary
from handlers.cards import result_message, status_message
from handlers.conversation import converse
from handlers.group_cards import joint_result
from handlers.home import home
from handlers.incoming import Incoming
from handlers.incoming import Place as Where
from handlers.message import Button, Message
from handlers.paused import paused_message
from handlers.texts import Texts
from jobs.catalog import snapshot
from jobs.config import Config
from jobs.db import migrate, open_engine
from jobs.dispatch import Place
from jobs.lifecycle import RunState
from jobs.models import (
    BenchmarkResult,
    DatasetTarget,
    EvalSpec,
    Failure,
    GenerationSettings,
    Interval,
    MetricResult,
    ModelTarget,
    PerfLevel,
    PerfSpec,
    Progress,
    Reproduce,
    Run,
    RunningScore,
    RunResult,
    Spread,
    SubsetScore,
    Tokens,
    Verdict,
)
from jobs.store import Store

FOLDER = Path(__file__).parents[1] / "docs" / "slack"
CHROMIUM = "/usr/bin/chromium"
MOST_BYTES = 60_000
COLOURS = 48
"""Colours of a picture."""
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EN = Texts("en")
USER = "slack:U0ADA"
SIZES = {"gsm8k": {"main": 1319}, "ifeval": {"default": 541}, "ceval": {"law": 24, "logic": 22, "physics": 19}}
CONFIG = Config.model_validate({
    "models": {"qwen-plus": {"model": "qwen-plus", "api_url": "https://llm.example/v1"}},
    "defaults": {"confirm_above_samples": 1000},
})  # fmt: skip


class _Links:
    def run_url(self, run_id: int) -> str:
        return f"https://scopebot.example/runs/r{run_id}?t=signed"

    def report_url(self, run_id: int) -> str:
        return f"https://scopebot.example/runs/r{run_id}/report?t=signed"


class _Services:
    """As much of `handlers.context.Services` as the examples ask for."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.config = CONFIG
        self.links = _Links()
        self.dashboard_url = None

    async def vocabulary(self) -> Any:
        return make_vocabulary(snapshot(), CONFIG)

    async def classify(self, *_said: Any) -> None:
        """Return nothing: no language model is set."""

    async def places(self) -> dict[int, Place]:
        return {14: Place(position=1, reason="workers_busy", starts_in=240)}

    async def progress(self, run_id: int) -> Progress | None:
        return PROGRESS if run_id == 12 else None

    async def progress_of(self, run_ids: Sequence[int]) -> dict[int, Progress]:
        """Return how far runs are."""
        found = {run_id: await self.progress(run_id) for run_id in run_ids}
        return {run_id: progress for run_id, progress in found.items() if progress is not None}

    async def workers(self) -> list[dict[str, str]]:
        return [{"name": "gpu-1", "evalscope": "1.14.1", "seen": "now", "gpus": "2 × H100"}]


def _model(name: str = "qwen-plus") -> ModelTarget:
    return ModelTarget(
        name=name, model=name, eval_type="openai_api", api_url="https://llm.example/v1", network="registered"
    )


def _run(
    number: int, state: RunState, *, names: Sequence[str] = ("gsm8k",), model: str = "qwen-plus", **spec: Any
) -> Run:
    datasets = tuple(DatasetTarget(name=name, benchmark=name, subsets=SIZES[name]) for name in names)
    fields = {"generation_config": GenerationSettings(temperature=0), "limit": 100} | spec
    return Run(
        id=number, group_id=1, spec=EvalSpec(model=_model(model), datasets=datasets, **fields), state=state,
        attempt=1, created_at=NOW, user=USER, worker="gpu-1" if state is RunState.RUNNING else "",
    )  # fmt: skip


def _score(name: str, value: float, between: tuple[float, float], num: int, *subsets: SubsetScore) -> BenchmarkResult:
    low, high = between
    metric = MetricResult(
        name="accuracy", aggregation="mean", primary=True, direction="higher_is_better", unit="%", scale=100,
        score=value, num=num, interval=Interval(low=low, high=high, method="wilson"), subsets=subsets,
    )  # fmt: skip
    return BenchmarkResult(
        name=name, benchmark=name, metrics=(metric,), requested=num, succeeded=num, errored=0, latency_mean=1.84,
        tokens=Tokens(prompt=21_480, completion=16_205),
    )  # fmt: skip


def _ended(run: Run, *benchmarks: BenchmarkResult, perf: tuple[PerfLevel, ...] = (), seconds: int = 312) -> Run:
    name = run.spec.model.name
    if isinstance(run.spec, EvalSpec):
        limit = f" --limit {run.spec.limit}" if run.spec.limit else ""
        command = (
            f'evalscope eval --model {name} --api-url https://llm.example/v1 --api-key "$LLM_KEY" --datasets '
            f"{' '.join(run.spec.covers)}{limit} --generation-config '{{\"temperature\": 0.0}}'"
        )
    else:
        command = (
            f'evalscope perf --model {name} --url https://llm.example/v1/chat/completions --api-key "$LLM_KEY" '
            "--parallel 1 4 16 64 --number 10 40 160 640"
        )
    reproduce = Reproduce(command=command, versions={"evalscope": "1.14.1"})
    result = RunResult(
        run_id=run.id, attempt=1, state=run.state, model=name, benchmarks=benchmarks, perf=perf, started_at=NOW,
        ended_at=NOW + timedelta(seconds=seconds), worker="gpu-1", reproduce=reproduce,
    )  # fmt: skip
    return run.model_copy(update={"result": result, "report_ready": True, "ended_at": result.ended_at})


def _level(concurrency: int, rps: float, slow: float, ttft: float) -> PerfLevel:
    requests = 10 * concurrency
    return PerfLevel(
        concurrency=concurrency, planned=requests, requests=requests, succeeded=requests, seconds=requests / rps,
        rps=rps, output_tokens_per_second=128 * rps, total_tokens_per_second=192 * rps,
        latency_s=Spread(avg=slow * 0.7, p50=slow * 0.65, p90=slow * 0.9, p99=slow),
        ttft_ms=Spread(avg=ttft * 0.6, p50=ttft * 0.55, p90=ttft * 0.8, p99=ttft),
        tpot_ms=Spread(avg=9.1, p50=9, p90=11, p99=14), itl_ms=Spread(avg=9.2, p50=9.1, p90=11, p99=14.6),
    )  # fmt: skip


VERDICTS = (
    Verdict(
        dataset="gsm8k", question="A tram has 6 cars with 18 seats each; 25 seats are taken. How many are free?",
        answer="6 × 18 = 108 seats, 108 - 25 = 83. ANSWER: 83", extracted="83", score=1,
    ),
    Verdict(
        dataset="gsm8k", question="Mei saves 15 yuan a week. After how many weeks can she buy a book for 90 yuan?",
        answer="90 / 15 = 6. ANSWER: 6", extracted="6", score=1,
    ),
    Verdict(
        dataset="gsm8k", question="Three pumps fill a pool in 8 hours. How long does it take four of them?",
        answer="8 × 4 / 3 = 10.7 hours. ANSWER: 10.7", extracted="10.7", score=0,
    ),
)  # fmt: skip
PROGRESS = Progress(
    attempt=1, phase="evaluating", benchmark="gsm8k", done=34, total=100, rate=0.42, eta=157, updated_at=NOW,
    scores=(RunningScore(benchmark="gsm8k", metric="accuracy", score=0.853, scale=100, unit="%", num=34,
                         interval=Interval(low=0.699, high=0.936, method="wilson")),),
)  # fmt: skip
UNREADABLE = tuple(verdict.model_copy(update={"extracted": "", "score": 0, "answer": "I"}) for verdict in VERDICTS[:2])


def messages() -> dict[str, Message]:
    """Return the examples that need nobody's answer, by name."""
    links, perf = _Links(), PerfSpec(
        model=_model(), parallel=(1, 4, 16, 64), number=(10, 40, 160, 640), dataset="prompts", plugin="line_by_line",
        local=True,
    )  # fmt: skip
    levels = (
        _level(1, 0.86, 1.3, 92),
        _level(4, 3.1, 1.5, 118),
        _level(16, 9.4, 2.1, 240),
        _level(64, 14.2, 5.9, 1450),
    )
    stressed = Run(id=15, group_id=1, spec=perf, state=RunState.SUCCEEDED, attempt=1, created_at=NOW)
    paused = _run(16, RunState.PAUSED)
    looked = PROGRESS.model_copy(update={"verdicts": VERDICTS, "done": 3, "scores": (), "eta": 231.0})
    failure = Failure(code="endpoint_refused", params={"url": "https://llm.example/v1"})
    failed = _run(17, RunState.FAILED).model_copy(update={"failure": failure})
    waits = {13: Place(position=2, reason="workers_busy", starts_in=240)}
    return {
        "waiting": status_message([_run(13, RunState.WAITING)], {}, EN, links, waits),
        "status": status_message([_run(12, RunState.RUNNING)], {12: PROGRESS}, EN, links),
        "first_verdicts": status_message([_run(12, RunState.RUNNING)], {12: looked}, EN, links),
        "paused": paused_message(paused, PROGRESS.model_copy(update={"verdicts": UNREADABLE}), EN, links),
        "result": result_message(subsets_run(), EN, links).model_copy(update={"mention": USER}),
        "comparison": joint_result(two_models(), EN, links),
        "stress_test": result_message(_ended(stressed, perf=levels, seconds=371), EN, links),
        "failed": result_message(failed, EN, links),
    }


def subsets_run() -> Run:
    """Return a run on three subsets."""
    subsets = (SubsetScore(name="law", score=0.792, num=24), SubsetScore(name="logic", score=0.682, num=22),
               SubsetScore(name="physics", score=0.895, num=19))  # fmt: skip
    run = _run(11, RunState.SUCCEEDED, names=("ceval",), limit=None)
    return _ended(run, _score("ceval", 0.785, (0.671, 0.868), 65, *subsets), seconds=142)


def two_models() -> list[Run]:
    """Return runs of two models on two benchmarks; one model is the better one on one of them."""
    return [
        _ended(
            _run(9, RunState.SUCCEEDED, names=("gsm8k", "ifeval")),
            _score("gsm8k", 0.93, (0.863, 0.966), 100), _score("ifeval", 0.81, (0.722, 0.875), 100),
        ),
        _ended(
            _run(10, RunState.SUCCEEDED, names=("gsm8k", "ifeval"), model="qwen-turbo"),
            _score("gsm8k", 0.78, (0.689, 0.85), 100), _score("ifeval", 0.76, (0.668, 0.833), 100),
        ),
    ]  # fmt: skip


async def conversations() -> dict[str, Message]:
    """Return what is answered to a few sentences, and a home."""
    said = {
        "question": "evaluate qwen-plus on gsm8k and ifeval",
        "help": "help",
        "benchmarks": "which benchmarks test coding?",
    }
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{folder}/db")
        migrate(engine)
        for name, text in said.items():
            place = Where(platform="slack", channel="C1", thread=name)
            incoming = Incoming(id=f"slack:{name}", place=place, user=USER, text=text)
            services: Any = _Services(Store(engine))
            found[name] = (await converse(incoming, services))[0].message
        engine.dispose()
    active = [_run(14, RunState.WAITING, model="qwen-turbo"), _run(12, RunState.RUNNING)]
    ended = [subsets_run(), *reversed(two_models())]
    store = SimpleNamespace(runs=lambda states, limit: list(ended if RunState.SUCCEEDED in states else active)[:limit])
    services = _Services(store)
    found["home"] = await home(USER, "en", "UTC", services)
    return found


def value(button: Button) -> str:
    """Return what stands for a button's signed value."""
    return f"signed:{button.id}"


def rendered() -> dict[str, Any]:
    """Return each example as Slack takes it."""
    found = messages() | asyncio.run(conversations())
    shown: dict[str, Any] = {}
    for name, message in found.items():
        if name == "home":
            shown[name] = render_home(message, value=value)
        else:
            block_kit = render(message, Level.RICH, value=value)
            shown[name] = {"text": block_kit.text, "blocks": block_kit.blocks}
    return shown


def main() -> int:
    """Write JSON and pictures, or compare the JSON."""
    fresh = {
        FOLDER / f"{name}.json": json.dumps(shown, ensure_ascii=False, indent=1) + "\n"
        for name, shown in rendered().items()
    }
    if "--check" in sys.argv:
        stale = [path.name for path, text in fresh.items() if not path.exists() or path.read_text("utf-8") != text]
        stale += [path.name for path in FOLDER.glob("*.json") if path not in fresh]
        if stale:
            print(f"docs/slack: {', '.join(stale)}: not what the code says; run scripts/slack_pictures.py")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in fresh.items():
        path.write_text(text, encoding="utf-8")
    take_pictures(list(fresh))
    return 0


def take_pictures(files: Sequence[Path]) -> None:
    """Draw each example in Chromium."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 720, "height": 400})
        for path in files:
            shown = json.loads(path.read_text(encoding="utf-8"))
            opened.set_content(page(shown["blocks"], home=path.stem == "home"))
            drawn = Image.open(io.BytesIO(opened.locator("main").screenshot()))
            picture = path.with_suffix(".png")
            drawn.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)
            size = picture.stat().st_size
            print(f"{picture.name}: {size:,} bytes" + ("  TOO LARGE" if size > MOST_BYTES else ""))
        browser.close()


if __name__ == "__main__":
    raise SystemExit(main())
