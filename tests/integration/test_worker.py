"""A real worker process: what it evaluates, what it says, where it leaves it, and what it refuses."""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from redis import Redis
from rq.job import Callback, Job, JobStatus
from rq.serializers import JSONSerializer
from support.workers import end_worker, start_worker

from jobs.catalog import CATALOG_KEY, Catalog, snapshot
from jobs.config import Settings
from jobs.embedded import EmbeddedServer
from jobs.evalscope.samples import content_hash
from jobs.events import EVENTS, progress_key
from jobs.fleet import living_workers
from jobs.lifecycle import RunState
from jobs.models import DatasetTarget, EvalSpec, ModelTarget, Run, RunResult
from jobs.queue import EVAL_TASK, JobPayload, enqueue, open_queue, sign
from jobs.sample import SAMPLE_DATASETS

if TYPE_CHECKING:
    from support.workers import Ended, Office

MCQ = SAMPLE_DATASETS["sample_mcq"]


@pytest.fixture(scope="module")
def office(worker_process: Office) -> Office:
    return worker_process


@pytest.fixture(scope="module")
def ended(run_to_end: Callable[..., Ended], mock_spec: Callable[..., EvalSpec]) -> Ended:
    """One whole run of the mock model on sample_mcq, for all tests that only look."""
    return run_to_end(mock_spec())


def rows_of(office: Office, run: Run, folder: Path) -> list[dict[str, Any]]:
    """Read the run's samples.db from the artifact store."""
    path = folder / f"r{run.id}.db"
    path.write_bytes(office.artifacts.read(run.id, "samples.db"))
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM samples")]


def job_of(office: Office, job_id: str) -> Job:
    return Job.fetch(job_id, connection=office.redis, serializer=JSONSerializer)


# a run that succeeds


def test_a_run_succeeds_with_every_sample_it_was_asked_for(ended: Ended, office: Office) -> None:
    assert (ended.run.state, ended.run.failure) == (RunState.SUCCEEDED, None)
    assert [event.what for _, event in ended.events] == ["started", "succeeded", "report"]
    assert ended.run.result is not None
    (benchmark,) = ended.run.result.benchmarks
    assert (benchmark.name, benchmark.benchmark) == ("sample_mcq", "general_mcq")
    assert (benchmark.requested, benchmark.succeeded, benchmark.errored) == (52, 52, 0)
    headline = benchmark.headline
    assert headline is not None
    assert headline.num == 52
    assert {subset.name: subset.num for subset in headline.subsets} == MCQ.subsets
    assert headline.score == pytest.approx(sum(s.score * s.num for s in headline.subsets) / 52, abs=1e-3)
    assert ended.run.result.worker == ended.run.worker == living_workers(office.redis)[0]["name"]
    assert ended.run.report_ready


def test_the_fingerprint_says_which_evaluation_it_was(
    ended: Ended, run_to_end: Callable[..., Ended], mock_spec: Callable[..., EvalSpec]
) -> None:
    assert ended.run.result is not None
    fingerprint = ended.run.result.benchmarks[0].fingerprint
    assert len(fingerprint) >= 16
    other = run_to_end(mock_spec(seed=7, limit=2)).run.result
    assert other is not None
    assert other.benchmarks[0].fingerprint
    assert other.benchmarks[0].fingerprint != fingerprint


def test_the_command_that_reproduces_it_is_told_with_its_versions(ended: Ended) -> None:
    assert ended.run.result is not None
    reproduce = ended.run.result.reproduce
    assert reproduce is not None
    assert reproduce.command.startswith("evalscope eval ")
    assert "general_mcq" in reproduce.command
    assert reproduce.versions["evalscope"] == snapshot().evalscope_version


def test_each_sample_is_a_row_with_the_hash_of_its_content(ended: Ended, office: Office, tmp_path: Path) -> None:
    rows = rows_of(office, ended.run, tmp_path)
    assert Counter(row["subset"] for row in rows) == MCQ.subsets
    assert {row["dataset"] for row in rows} == {"sample_mcq"}
    assert all(row["content"] == content_hash(row["question"], row["target"]) for row in rows)
    assert len({row["content"] for row in rows}) == len(rows) == 52
    assert all(row["question"] and row["target"] in "ABCD" and row["answer"] for row in rows)
    assert ended.run.result is not None
    headline = ended.run.result.benchmarks[0].headline
    assert headline is not None
    right = [json.loads(row["scores"])[headline.name] for row in rows]
    assert sum(right) / len(right) == pytest.approx(headline.score, abs=1e-3)


def test_the_same_questions_have_the_same_hashes_in_the_next_run(
    ended: Ended, office: Office, run_to_end: Callable[..., Ended], mock_spec: Callable[..., EvalSpec], tmp_path: Path
) -> None:
    whole = {row["content"] for row in rows_of(office, ended.run, tmp_path)}
    few = run_to_end(mock_spec(limit=4))
    assert {row["content"] for row in rows_of(office, few.run, tmp_path)} < whole


def test_the_kept_result_is_the_announced_one_and_was_there_first(ended: Ended, office: Office) -> None:
    entry, event = next((key, event) for key, event in ended.events if event.what == "succeeded")
    assert event.result is not None
    assert ended.kept == event.result == ended.run.result
    assert RunResult.model_validate_json(office.artifacts.read(ended.run.id, "result.json")) == event.result
    # both clocks are this machine's: the file stood under its name when the entry got its id
    path = office.settings.folder / "artifacts" / ended.run.name / "result.json"
    assert path.stat().st_ctime_ns // 1_000_000 <= int(entry.partition("-")[0])


def test_the_kept_result_is_there_whenever_a_reader_sees_the_announcement(
    office: Office, mock_spec: Callable[..., EvalSpec]
) -> None:
    run = office.store.move(
        office.add_run(office.store, mock_spec(limit=1)).id, RunState.QUEUED, attempt=1, worker=office.worker
    )
    job_id = enqueue(office.redis, run, key=office.settings.effective_job_key, timeout=60)
    position, seen = office.ledger.position(), ""
    while seen not in {"succeeded", "failed"}:  # a reader that does nothing between
        read = cast("list[Any]", office.redis.xread({EVENTS: position}, count=1, block=30_000))
        kept = office.artifacts.exists(run.id, "result.json")
        ((position, fields),) = read[0][1]
        seen = json.loads(fields[b"event"])["what"]
        assert kept or seen == "started"
    assert seen == "succeeded"
    office.wait_for_job(job_id)
    office.ledger.apply(office.new_events())


def test_progress_reaches_its_total_with_the_final_score(ended: Ended) -> None:
    progress = ended.progress
    assert (progress.attempt, progress.done, progress.total, progress.errors) == (1, 52, 52, 0)
    assert (progress.phase, progress.eta) == ("reporting", 0)
    assert ended.run.result is not None
    headline = ended.run.result.benchmarks[0].headline
    assert headline is not None
    (running,) = progress.scores
    assert (running.benchmark, running.num) == ("sample_mcq", 52)
    assert running.score == pytest.approx(headline.score, abs=1e-4)
    assert running.interval == headline.interval
    assert (running.scale, running.unit) == (headline.scale, headline.unit)


def test_a_fraction_counts_for_each_subset_as_the_plan_said(
    run_to_end: Callable[..., Ended], mock_spec: Callable[..., EvalSpec]
) -> None:
    spec = mock_spec("sample_mcq", "sample_qa", limit=0.1)
    ended = run_to_end(spec)
    assert spec.total == 3 + 2 + 3 + 2
    assert (ended.progress.done, ended.progress.total) == (10, 10)
    assert ended.run.result is not None
    assert {b.name: b.requested for b in ended.run.result.benchmarks} == {"sample_mcq": 5, "sample_qa": 5}


def test_repeats_are_counted_as_the_plan_said(
    run_to_end: Callable[..., Ended], mock_spec: Callable[..., EvalSpec], office: Office, tmp_path: Path
) -> None:
    spec = mock_spec(limit=2, repeats=3)
    ended = run_to_end(spec)
    assert spec.total == 12
    assert (ended.progress.done, ended.progress.total) == (12, 12)
    assert len(rows_of(office, ended.run, tmp_path)) == 12


def test_the_runs_own_log_and_report_are_in_the_artifact_store(ended: Ended, office: Office) -> None:
    assert office.artifacts.exists(ended.run.id, "worker.log")
    assert office.artifacts.exists(ended.run.id, "configs/task_config.yaml")
    report = next((office.settings.folder / "artifacts" / ended.run.name / "reports").rglob("*.html"))
    assert 'src="/static/plotly.min.js"' in report.read_text(encoding="utf-8")
    assert office.artifacts.shared("plotly.min.js")


# the queue


def test_a_job_is_named_after_run_and_attempt(ended: Ended, office: Office) -> None:
    assert ended.job_id == f"r{ended.run.id}-a1"
    assert job_of(office, ended.job_id).get_status() is JobStatus.FINISHED


def test_a_second_enqueue_of_an_attempt_that_has_run_does_nothing(ended: Ended, office: Office) -> None:
    before = office.redis.xlen(EVENTS)
    enqueue(office.redis, ended.run, key=office.settings.effective_job_key, timeout=60)
    assert open_queue(office.redis, office.worker).job_ids == []
    assert job_of(office, ended.job_id).get_status() is JobStatus.FINISHED
    assert office.redis.xlen(EVENTS) == before


# what is refused

STRANGER = 900_000


def strange(number: int) -> JobPayload:
    spec = EvalSpec(
        model=ModelTarget(name="mock", model="mock_llm", eval_type="mock_llm"), limit=1,
        datasets=(DatasetTarget(name="sample_mcq", benchmark="general_mcq", local=True),),
    )  # fmt: skip
    return JobPayload(run_id=STRANGER + number, attempt=1, spec=spec)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, strange(1).model_dump_json()),
        (2, ""),
        (3, sign(strange(3), "another installation's key")),
        (4, sign(strange(4), "k")[:-1]),
    ],
    ids=["unsigned", "empty", "another_key", "cut"],
)
def test_a_job_that_is_not_signed_with_the_key_is_refused_and_nothing_runs(
    office: Office, number: int, text: str
) -> None:
    before = office.redis.xlen(EVENTS)
    job = open_queue(office.redis, office.worker).enqueue_call(EVAL_TASK, args=(text,), job_id=f"stranger-{number}")
    office.wait_for_job(job.id)
    assert job_of(office, job.id).get_status() is JobStatus.FAILED
    assert nothing_ran(office, STRANGER + number, before)


def nothing_ran(office: Office, run_id: int, events_before: Any) -> bool:
    return (
        office.redis.xlen(EVENTS) == events_before
        and not office.redis.exists(progress_key(run_id))
        and not (office.settings.folder / "work" / f"r{run_id}").exists()
        and not office.artifacts.exists(run_id, "result.json")
    )


def test_a_job_that_names_another_function_is_refused_and_nothing_runs(office: Office, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    job = open_queue(office.redis, office.worker).enqueue_call("os.mkdir", args=(str(mark),), job_id="stranger-mkdir")
    office.wait_for_job(job.id)
    assert job_of(office, job.id).get_status() is JobStatus.FAILED
    assert not mark.exists()


def test_a_signed_job_under_another_functions_name_is_refused(office: Office, tmp_path: Path) -> None:
    signed = sign(strange(5), office.settings.effective_job_key)
    before = office.redis.xlen(EVENTS)
    job = open_queue(office.redis, office.worker).enqueue_call(
        "jobs.tasks.Attempt", args=(signed,), job_id="stranger-attempt"
    )
    office.wait_for_job(job.id)
    assert job_of(office, job.id).get_status() is JobStatus.FAILED
    assert nothing_ran(office, STRANGER + 5, before)


def test_a_job_that_brings_callbacks_of_its_own_calls_none_of_them(office: Office) -> None:
    job = open_queue(office.redis, office.worker).enqueue_call(
        EVAL_TASK, args=("not signed",), job_id="stranger-callback", on_failure=Callback("builtins.print")
    )
    office.wait_for_job(job.id)
    printed = (office.settings.folder / "worker.log").read_text(encoding="utf-8")
    assert "<class 'jobs.queue.JobRefused'>" not in printed


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        yield server


def test_a_run_whose_endpoint_the_rule_forbids_is_refused_and_connects_to_nothing(
    office: Office, mock_spec: Callable[..., EvalSpec], listener: socket.socket, run_to_end: Callable[..., Ended]
) -> None:
    model = ModelTarget(
        name="inside", model="m", eval_type="openai_api", network="checked",
        api_url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1",
    )  # fmt: skip
    ended = run_to_end(mock_spec(model=model, limit=1))
    assert ended.run.state is RunState.FAILED
    with pytest.raises(TimeoutError):
        listener.accept()
    assert ended.run.failure is not None
    assert (ended.run.failure.code, ended.run.failure.params) == ("host_refused", {"host": "127.0.0.1"})
    assert ended.kept == ended.run.result


def test_a_run_that_fails_says_why_and_leaves_the_worker_well(
    office: Office, mock_spec: Callable[..., EvalSpec], run_to_end: Callable[..., Ended]
) -> None:
    spec = mock_spec()
    nowhere = spec.model_copy(update={"datasets": (DatasetTarget(name="faq", benchmark="general_qa", local=True),)})
    failed = run_to_end(nowhere)
    assert failed.run.state is RunState.FAILED
    assert failed.run.failure is not None
    assert failed.run.failure.code == "dataset_missing"
    assert [event.what for _, event in failed.events] == ["started", "failed"]
    assert run_to_end(mock_spec(limit=1)).run.state is RunState.SUCCEEDED


# coming and going


def test_a_worker_publishes_what_it_can_evaluate(office: Office) -> None:
    published = Catalog.model_validate_json(cast("bytes", office.redis.get(CATALOG_KEY)))
    assert published.evalscope_version == snapshot().evalscope_version
    assert set(published.by_name) == set(snapshot().by_name)


def test_a_worker_publishes_what_each_parameter_does(office: Office) -> None:
    published = Catalog.model_validate_json(cast("bytes", office.redis.get(CATALOG_KEY)))
    facts = tuple(info.model_copy(update={"help": ""}) for info in published.parameters)
    assert facts == snapshot().parameters
    explained = {(info.command, info.name) for info in published.parameters if info.help}
    assert {
        ("eval", "limit"),
        ("perf", "sla_num_runs"),
        ("perf", "url"),
        ("eval", "generation_config.top_p"),
    } <= explained
    assert any(parameter.help for info in published.benchmarks for parameter in info.parameters)


def test_a_worker_appears_when_it_starts_and_leaves_on_sigterm(
    tmp_path_factory: pytest.TempPathFactory, redis_server: EmbeddedServer
) -> None:
    url = redis_server.url.removesuffix("/0") + "/2"
    own = Settings(redis_url=url, data_dir=tmp_path_factory.mktemp("leaving"))
    with Redis.from_url(url) as redis:
        assert living_workers(redis) == []
        process = start_worker(own, redis)
        try:
            (worker,) = living_workers(redis)
            assert worker["name"] == f"{socket.gethostname()}-{process.pid}"
            assert worker["pid"] == str(process.pid)
            assert worker["evalscope"] == snapshot().evalscope_version
            deadline = time.monotonic() + 20
            # RQ's handlers for SIGTERM stand once it is idle; the light process is so earlier
            while not any(
                b":checks-" not in key and redis.hget(key, "state") == b"idle" for key in redis.smembers("rq:workers")
            ):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            status = end_worker(process)
        assert status == 0
        assert living_workers(redis) == []


def test_the_worker_of_all_these_tests_still_lives(office: Office) -> None:
    assert office.process.poll() is None
    assert str(office.process.pid) in {worker["pid"] for worker in living_workers(office.redis)}
