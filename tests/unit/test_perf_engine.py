"""A stress test's engine without a load: its arguments, the files it reads, and who may be loaded."""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jobs.config import Config
from jobs.errors import (
    CheckpointRefused,
    DatasetMissing,
    EndpointDenied,
    EndpointRefused,
    ExtraMissing,
    NoPromptFits,
    RunCrashed,
)
from jobs.evalscope import perf
from jobs.evalscope.engine import Collected, Workplace
from jobs.evalscope.perf import PerfEngine
from jobs.models import ModelTarget, PerfSpec
from jobs.sample import PROMPTS_FILE
from tests.support.endpoint import refusing_url

CONFIG = Config.model_validate(
    {
        "models": {"tok": {"model": "tiny", "api_url": "http://h/v1", "tokenizer_path": "/models/t"}},
        "datasets": {"chats": {"benchmark": "line_by_line", "local_path": "/data/chats.txt"}},
        "keys": {"env": {"env": "A_KEY", "hosts": ["h"]}, "file": {"file": "/secrets/a key", "hosts": ["h"]}},
        "access": {"allow_models": ["Qwen/*"]},
    }
)


def load(*, name: str = "prod", key: str | None = None, api_url: str = "http://h/v1", **fields: Any) -> PerfSpec:
    model = ModelTarget(name=name, model="tiny", eval_type="openai_api", api_url=api_url, network="registered", key=key)
    known = {
        "model": model, "parallel": (1, 4), "number": (4, 12), "dataset": "prompts", "plugin": "line_by_line",
        "local": True,
    }  # fmt: skip
    return PerfSpec.model_validate(known | fields)


def place(folder: Path, config: Config = CONFIG) -> Workplace:
    return Workplace(run_id=7, attempt=1, folder=folder, config=config, tell=lambda _progress: None)


# what it asks of EvalScope


def test_the_arguments_are_what_was_asked_for_and_none_that_was_not() -> None:
    found = perf.perf_arguments(load(stop=("\n",), top_k=5, name="tok", tokenizer_path="/models/t"), CONFIG)
    assert (found["parallel"], found["number"], found["stop"], found["top_k"]) == ([1, 4], [4, 12], ["\n"], 5)
    assert (found["url"], found["dataset_path"]) == ("http://h/v1/chat/completions", str(PROMPTS_FILE))
    assert found["tokenizer_path"] == "/models/t"
    assert not {"rate", "open_loop", "duration", "api_key", "outputs_dir"} & set(found)


def test_a_rate_of_arrivals_has_no_concurrency_and_a_braked_one_has_both() -> None:
    arrivals = perf.perf_arguments(load(open_loop=True, rate=(5, 10), parallel=(1,), number=(4, 8)), CONFIG)
    assert (arrivals["open_loop"], arrivals["rate"], "parallel" in arrivals) == (True, [5, 10], False)
    braked = perf.perf_arguments(load(rate=(5,), parallel=(4,), number=(8,)), CONFIG)
    assert (braked["rate"], braked["parallel"], "open_loop" in braked) == ([5], [4], False)


@pytest.mark.parametrize(
    ("key", "end"),
    [(None, ""), ("env", ' --api-key "$A_KEY"'), ("file", " --api-key \"$(cat '/secrets/a key')\"")],
)
def test_the_line_that_reproduces_it_names_where_the_key_lies(key: str | None, end: str) -> None:
    line = perf.reproduce_perf(load(key=key, stream=False, extra_args={"min_p": 0.1}), CONFIG).command
    assert line.startswith("evalscope perf --model tiny --api openai --url http://h/v1/chat/completions --number 4 12")
    assert "--no-stream" in line
    assert "--no-test-connection" in line
    assert "--extra-args '{\"min_p\": 0.1}'" in line
    assert line.endswith(end) or not end
    assert ("--api-key" in line) == (key is not None)


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({}, {"number": [12], "parallel": [4], "dataset_offset": 4}),
        (
            {"open_loop": True, "rate": (5, 10), "parallel": (1,)},
            {"number": [12], "rate": [10], "dataset_offset": 4},
        ),
    ],
)
def test_another_attempt_asks_for_the_levels_that_are_left_with_other_prompts(
    fields: dict[str, Any], left: dict[str, Any]
) -> None:
    assert perf._left(load(**fields), 1) == left


def test_rows_are_committed_seldom_where_the_load_is_heavy(tmp_path: Path) -> None:
    assert perf._private(load(), place(tmp_path), None)["db_commit_interval"] == 1
    heavy = load(open_loop=True, rate=(400,), parallel=(1,), number=(9,))
    found = perf._private(heavy, place(tmp_path), "hunter2")
    assert (found["db_commit_interval"], found["api_key"]) == (100, "hunter2")


# where its prompts come from


def test_prompts_lie_on_the_worker_under_the_name_they_are_registered_by() -> None:
    assert perf.prompts_file(load(), CONFIG) == PROMPTS_FILE
    assert perf.prompts_file(load(dataset="chats"), CONFIG) == Path("/data/chats.txt")
    assert perf.prompts_file(load(prompt="Hi"), CONFIG) is None
    assert perf.prompts_file(load(dataset="random", plugin="random", local=False), CONFIG) is None
    with pytest.raises(DatasetMissing) as told:
        perf.prompts_file(load(dataset="unheard-of"), CONFIG)
    assert told.value.params["path"] == "scopebot.toml"


def test_a_file_of_prompts_that_is_not_there_is_told_before_the_endpoint_is_asked(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing) as told:
        PerfEngine().check(load(dataset="chats"), place(tmp_path))
    assert told.value.params == {"dataset": "chats", "path": "/data/chats.txt"}


@pytest.mark.parametrize(("name", "path"), [("tok", "/models/t"), ("prod", "Qwen/Qwen3"), ("prod", None)])
def test_a_tokenizer_of_the_models_own_or_an_allowed_one_is_taken(name: str, path: str | None) -> None:
    perf.check_tokenizer(load(name=name, tokenizer_path=path), CONFIG)


@pytest.mark.parametrize(("name", "path"), [("tok", "/models/other"), ("prod", "/models/t"), ("prod", "evil/code")])
def test_no_other_tokenizer_is_loaded_for_it_may_bring_code(name: str, path: str) -> None:
    with pytest.raises(CheckpointRefused):
        perf.check_tokenizer(load(name=name, tokenizer_path=path), CONFIG)


# what it reads of a level

SUMMARY = {
    "Success Requests": 4, "Stream Requests": 4, "Total Requests": 4, "Test Duration (s)": 2.0,
    "Req Throughput (req/s)": 2.0, "Output Throughput (tok/s)": 16.0, "Total Throughput (tok/s)": 32.0,
    "Avg Input Tokens": 8, "Avg Output Tokens": 8, "Avg Latency (s)": 0.5, "Avg TTFT (ms)": 50.0, "Avg TPOT (ms)": 10.0,
    "Avg ITL (ms)": 9.0,
}  # fmt: skip


def level_folder(folder: Path, spec: PerfSpec, number: int = 0) -> Path:
    load, count = spec.levels[number]
    path = folder / perf.NAME / perf.level_folder(spec, load, count)
    path.mkdir(parents=True)
    return path


def finish(path: Path, **changed: Any) -> None:
    """Leave what EvalScope leaves of a level that it ended."""
    (path / "benchmark_summary.json").write_text(json.dumps(SUMMARY | changed), encoding="utf-8")
    rows = [{"Percentiles": f"{p}%", "TTFT (ms)": p, "Latency (s)": p / 100} for p in (50, 90, 99)]
    (path / "benchmark_percentile.json").write_text(json.dumps(rows), encoding="utf-8")


def write_rows(path: Path, requests: Sequence[Any]) -> None:
    """Leave what EvalScope leaves of a level that was cut short: the rows of the requests that ended."""
    from evalscope.perf.utils.db_util import create_result_table, insert_benchmark_data

    with closing(sqlite3.connect(path / "benchmark_data.db")) as connection:
        cursor = connection.cursor()
        create_result_table(cursor)
        for request in requests:
            insert_benchmark_data(cursor, request)
        connection.commit()


def request(number: int, *, success: bool = True) -> Any:
    from evalscope.perf.utils.benchmark_util import BenchmarkData

    begun = 100.0 + number
    return BenchmarkData(
        request="{}", start_time=begun, completed_time=begun + 0.5, success=success, is_stream=True, query_latency=0.5,
        first_chunk_latency=0.1, time_per_output_token=0.05, inter_chunk_latency=[0.05] * 8, prompt_tokens=6,
        completion_tokens=9,
    )  # fmt: skip


def test_a_level_that_ended_is_read_with_its_percentiles(tmp_path: Path) -> None:
    spec = load()
    folder = level_folder(tmp_path, spec)
    finish(folder)
    write_rows(folder, [request(number) for number in range(4)])
    (level,) = perf.read_levels(spec, tmp_path)
    assert (level.concurrency, level.planned, level.succeeded, level.complete) == (1, 4, 4, True)
    assert (level.ttft_ms.avg, level.ttft_ms.p50, level.ttft_ms.p99) == (50, 50, 99)
    assert (level.rps, level.output_tokens) == (2, 8)


def test_what_was_not_measured_is_left_out_and_never_a_zero(tmp_path: Path) -> None:
    spec = load(number=(4,), parallel=(1,))
    finish(level_folder(tmp_path, spec), **{"Avg ITL (ms)": -1, "Avg Output Tokens": float("nan")})
    (level,) = perf.read_levels(spec, tmp_path)
    assert (level.itl_ms.avg, level.tpot_ms.p50, level.output_tokens) == (None, None, None)


def test_a_level_that_was_cut_short_has_the_figures_of_the_requests_that_ended(tmp_path: Path) -> None:
    spec = load()
    finish(level_folder(tmp_path, spec))
    write_rows(level_folder(tmp_path, spec, 1), [*(request(n) for n in range(6)), request(6, success=False)])
    _, cut = perf.read_levels(spec, tmp_path)
    assert (cut.concurrency, cut.planned, cut.requests, cut.succeeded, cut.complete) == (4, 12, 7, 6, False)
    assert (cut.input_tokens, cut.output_tokens) == (6, 9)
    assert cut.latency_s.avg == pytest.approx(0.5)
    assert cut.latency_s.p50 == pytest.approx(0.5)
    assert cut.ttft_ms.p50 == pytest.approx(100)


@pytest.mark.parametrize("leave", ["nothing", "no row", "no database"])
def test_a_level_without_one_request_that_ended_is_none(tmp_path: Path, leave: str) -> None:
    spec = load()
    path = level_folder(tmp_path, spec)
    if leave == "no row":
        write_rows(path, [])
    elif leave == "no database":
        (path / "benchmark_data.db").write_text("torn", encoding="utf-8")
    assert perf.read_levels(spec, tmp_path) == []


def test_the_levels_an_earlier_attempt_finished_are_kept_and_what_it_began_is_not(tmp_path: Path) -> None:
    spec = load(parallel=(1, 2, 4), number=(4, 4, 4))
    paths = [level_folder(tmp_path, spec, number) for number in range(3)]
    finish(paths[0])
    write_rows(paths[1], [request(1)])
    finish(paths[2])  # left by a run of the same number: no level before it ended
    kept = perf.keep_finished(spec, tmp_path)
    assert [level.concurrency for level in kept] == [1]
    assert [path.exists() for path in paths] == [True, False, False]


# the load beside the main thread


def test_what_the_load_raises_is_raised_where_it_was_started() -> None:
    def work() -> None:
        raise ValueError("Dataset is empty")

    with pytest.raises(ValueError, match="Dataset is empty"):
        perf._beside(work, lambda: None)


def test_a_load_that_exits_the_process_is_told_as_a_crash() -> None:
    def work() -> None:
        raise SystemExit(3)

    with pytest.raises(RunCrashed) as told:
        perf._beside(work, lambda: None)
    assert told.value.params["detail"] == "SystemExit"


def test_a_load_that_was_given_up_ends_quietly() -> None:
    from jobs.evalscope.load import GaveUp

    def work() -> None:
        raise GaveUp

    perf._beside(work, lambda: None)


def test_a_main_thread_that_is_interrupted_ends_the_load_and_waits_for_what_it_writes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over, written = threading.Event(), []

    def work() -> None:
        assert over.wait(10)
        time.sleep(0.1)
        written.append("what it knows")

    real, joins = threading.Thread.join, []

    def join(thread: threading.Thread, timeout: float | None = None) -> None:
        joins.append(timeout)
        if len(joins) == 1:
            raise KeyboardInterrupt  # as a signal's handler does
        real(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", join)
    with pytest.raises(KeyboardInterrupt):
        perf._beside(work, over.set)
    assert (written, joins) == (["what it knows"], [None, perf.LOAD_ENDS_WITHIN])


# what is told where it cannot be done


def test_an_engine_that_has_not_begun_has_nothing(tmp_path: Path) -> None:
    engine = PerfEngine()
    assert (engine.done, engine.collect_partial(), engine.collect(place(tmp_path))) == (0, Collected(), Collected())


def test_no_prompt_of_the_length_asked_for_is_told_with_the_length(tmp_path: Path) -> None:
    spec = load(min_prompt_length=9000)
    found = PerfEngine()._told(ValueError("Dataset is empty!"), spec, place(tmp_path))
    assert isinstance(found, NoPromptFits)
    assert (found.params["min"], found.params["max"]) == (9000, "∞")


def test_a_key_that_an_error_quotes_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "hunter2")
    raised = EndpointDenied(url="http://h/v1", status=401, detail="no such key: hunter2")
    found = PerfEngine()._told(raised, load(key="env"), place(tmp_path))
    assert found.params["detail"] == "no such key: [key]"


def test_a_worker_without_evalscopes_perf_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "evalscope.perf.main", None)
    with pytest.raises(ExtraMissing) as told:
        PerfEngine().run(load(), place(tmp_path))
    assert "evalscope[perf]" in str(told.value.params["install"])


@pytest.fixture
def postponed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Keep what is patched in EvalScope from the tests that follow."""
    import evalscope.perf.main

    original: Callable[..., str] = evalscope.perf.main.gen_perf_html_report
    monkeypatch.setattr(evalscope.perf.main, "gen_perf_html_report", original)
    return original


def test_an_endpoint_that_is_not_there_ends_it_before_a_request_is_sent(
    tmp_path: Path, postponed: Callable[..., str]
) -> None:
    with refusing_url() as url:
        engine = PerfEngine()
        with pytest.raises(EndpointRefused):
            engine.run(load(api_url=url), place(tmp_path))
    assert engine.done == 0
    assert engine.collect_partial() == Collected()
    assert not (tmp_path / perf.NAME).exists()
