"""Full disks under a run: what people are told, and what is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from horses import Horses, model, sample, spec
from support.disks import SmallDisk, small_disk
from support.endpoint import Endpoint, answers
from support.streaming import Pace, Streaming

from handlers.texts import Texts
from jobs.artifacts import Artifacts
from jobs.events import EVENTS, Event
from jobs.models import EvalSpec, Failure, PerfSpec

ALL = 34
TOML = "[disk]\nmin_free_gb = 0\n"
QUICK = "import jobs.tasks; jobs.tasks.PATIENCE = 2.0"


def long_winded(_: str) -> str:
    return "word " * 30_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "small", "4m") as disk:
        yield disk


class Worker:
    """A worker whose data and store lie where a test says."""

    def __init__(self, horses: Horses, data: Path, store: Path) -> None:
        self.horses, self.data = horses, data
        self.artifacts = Artifacts(f"file://{store}")
        self.data.mkdir(exist_ok=True, parents=True)

    def run(self, what: EvalSpec | PerfSpec, toml: str = TOML) -> tuple[int, list[Event]]:
        (self.data / "scopebot.toml").write_text(toml)
        environment = {"SCOPEBOT_DATA_DIR": str(self.data), "SCOPEBOT_ARTIFACTS_URL": self.artifacts.url}
        running = self.horses.start(what, environment=environment, before=QUICK)
        running.future.result(120)
        self.output = running.output.read_text()
        events = [Event.model_validate_json(fields[b"event"]) for _, fields in self.horses.redis.xrange(EVENTS)]
        return running.run_id, [event for event in events if event.run_id == running.run_id]


def failure(events: list[Event]) -> Failure:
    assert events, "nobody was told"
    assert events[-1].failure is not None, events
    return events[-1].failure


def predictions(artifacts: Artifacts, run_id: int) -> list[Any]:
    folder = Path(artifacts.url.removeprefix("file://")) / f"r{run_id}" / "predictions"
    found = [line for path in folder.rglob("*.jsonl") for line in path.read_text().splitlines()]
    return [json.loads(line) for line in found if line.endswith("}")]


def test_a_full_disk_ends_the_run_with_its_host_and_folder_and_another_one_goes_on_from_what_it_kept(
    horses: Horses, disk: SmallDisk, tmp_path: Path
) -> None:
    with Endpoint(answers(long_winded)) as endpoint:
        what = spec(model(endpoint.url), sample(), limit=ALL, eval_batch_size=1)
        full = Worker(horses, disk.folder / "data", tmp_path / "store")
        run_id, events = full.run(what)
        assert [event.what for event in events] == ["started", "failed"], full.output
        told = failure(events)
        asked = len(endpoint.completions)
        assert told.code == "disk_full", told
        assert str(told.params["folder"]).startswith(str(disk.folder))
        assert told.params["setting"] == "SCOPEBOT_DATA_DIR"
        assert "free at" in Texts("en").error(told)
        assert asked < ALL, "it went on although nothing could be kept"
        kept = len(predictions(full.artifacts, run_id))
        assert kept >= asked - 2
        roomy = Worker(horses, tmp_path / "roomy", tmp_path / "store")
        _, events = roomy.run(what.model_copy(update={"resumes": run_id}))
    assert events[-2].what == "succeeded", roomy.output
    assert len(endpoint.completions) - asked == ALL - kept


def test_a_run_does_not_begin_on_a_disk_with_too_little_room(horses: Horses, disk: SmallDisk, tmp_path: Path) -> None:
    with Endpoint(answers(long_winded)) as endpoint:
        for data, store in ((disk.folder / "data", tmp_path / "store"), (tmp_path / "data", disk.folder / "store")):
            _, events = Worker(horses, data, store).run(spec(model(endpoint.url)), toml="")
            assert [event.what for event in events] == ["failed"]
            told = failure(events)
            assert told.code == "disk_low"
            assert "1 GB" in Texts("en").error(told)
            assert str(disk.folder) in Texts("zh").error(told)
        assert endpoint.completions == []


def test_a_full_store_ends_the_run_with_the_stores_setting_and_what_it_did_stays_on_the_worker(
    horses: Horses, disk: SmallDisk, tmp_path: Path
) -> None:
    disk.fill()
    with Endpoint() as endpoint:
        worker = Worker(horses, tmp_path / "data", disk.folder / "store")
        run_id, events = worker.run(spec(model(endpoint.url)))
    assert [event.what for event in events] == ["started", "failed"], worker.output
    told = failure(events)
    assert (told.code, told.params["setting"]) == ("disk_full", "SCOPEBOT_ARTIFACTS_URL")
    assert (tmp_path / f"data/work/r{run_id}/unshipped").read_text() == "1"
    assert len(list((tmp_path / f"data/work/r{run_id}/predictions").rglob("*.jsonl"))) == 1


def test_a_store_with_room_for_the_scores_alone_gets_them_and_the_rest_stays_on_the_worker(
    horses: Horses, disk: SmallDisk, tmp_path: Path
) -> None:
    with Endpoint(answers(long_winded)) as endpoint:
        what = spec(model(endpoint.url), sample(), limit=ALL, eval_batch_size=4)
        worker = Worker(horses, tmp_path / "data", disk.folder / "store")
        run_id, events = worker.run(what)
    assert "succeeded" in [event.what for event in events], worker.output
    assert worker.artifacts.exists(run_id, "result.json")
    assert (tmp_path / f"data/work/r{run_id}/unshipped").read_text() == "1"
    assert not list(disk.folder.rglob("*.part")), "a draft took the last room"


def test_a_store_that_has_room_again_at_the_end_takes_the_result(
    horses: Horses, disk: SmallDisk, tmp_path: Path
) -> None:
    disk.fill()
    code = f"""
        import pathlib, threading
        threading.Timer(4, pathlib.Path({str(disk.folder / "filler")!r}).unlink).start()
        """
    with Endpoint() as endpoint:
        worker = Worker(horses, tmp_path / "data", disk.folder / "store")
        (worker.data / "scopebot.toml").write_text(TOML)
        environment = {"SCOPEBOT_DATA_DIR": str(worker.data), "SCOPEBOT_ARTIFACTS_URL": worker.artifacts.url}
        running = horses.start(spec(model(endpoint.url)), environment=environment, before=code)
        running.future.result(120)
    assert worker.artifacts.exists(running.run_id, "result.json"), running.output.read_text()
    assert worker.artifacts.exists(running.run_id, "samples.db")
    assert not (worker.data / f"work/r{running.run_id}/unshipped").exists()


def test_a_disk_that_holds_all_is_told_too(horses: Horses, disk: SmallDisk) -> None:
    with Endpoint(answers(long_winded)) as endpoint:
        what = spec(model(endpoint.url), sample(), limit=ALL, eval_batch_size=4)
        worker = Worker(horses, disk.folder / "data", disk.folder / "store")
        _, events = worker.run(what)
    assert [event.what for event in events] == ["started", "failed"], worker.output
    assert failure(events).code == "disk_full"
    assert len(endpoint.completions) < ALL


def test_a_stress_test_on_a_full_disk_says_so(horses: Horses, disk: SmallDisk, tmp_path: Path) -> None:
    disk.fill(leave=150_000)
    with Streaming(Pace()) as server:
        load = PerfSpec(
            model=model(server.url), parallel=(2,), number=(3000,), sleep_interval=0, max_tokens=(8,),
            dataset="prompts", plugin="line_by_line", local=True,
        )  # fmt: skip
        worker = Worker(horses, disk.folder / "data", tmp_path / "store")
        _, events = worker.run(load)
    assert failure(events).code == "disk_full", events
