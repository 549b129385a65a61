"""Which GPUs a worker has: NVML's word, and none where there is nobody to ask."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis
from support.database import migrated
from support.services import FakeServices

from handlers.message import Fields
from jobs import fleet
from jobs.fleet import beat, living_workers
from jobs.gpus import Gpu, described, inventory
from jobs.same_store import publish
from jobs.store import Store
from jobs.worker import Heartbeat
from jobs.workspace import Workspace

GIB = 2**30
H100, L4 = ("NVIDIA H100 80GB HBM3", "GPU-aa11", 80 * GIB), ("NVIDIA L4", "GPU-bb22", 24 * GIB)


class NVMLError(Exception):
    pass


class Nvml(SimpleNamespace):
    """A stand-in for the library `pynvml`, which counts that what is begun is ended."""

    NVMLError = NVMLError

    def __init__(self, cards: Sequence[Any], *, driver: bool = True, count: bool = True) -> None:
        super().__init__()
        self.cards, self.driver, self.count, self.open = cards, driver, count, 0
        self.nvmlInit, self.nvmlShutdown = self.begin, self.end
        self.nvmlDeviceGetCount, self.nvmlDeviceGetHandleByIndex = self.how_many, self.card
        self.nvmlDeviceGetName, self.nvmlDeviceGetUUID, self.nvmlDeviceGetMemoryInfo = self.name, self.uuid, self.memory

    def begin(self) -> None:
        if not self.driver:
            raise NVMLError("Driver Not Loaded")
        self.open += 1

    def end(self) -> None:
        self.open -= 1

    def how_many(self) -> int:
        if not self.count:
            raise NVMLError("Unknown Error")
        return len(self.cards)

    def card(self, index: int) -> Any:
        if self.cards[index] is None:
            raise NVMLError("GPU is lost")
        return self.cards[index]

    @staticmethod
    def name(card: Any) -> Any:
        return card[0]

    @staticmethod
    def uuid(card: Any) -> Any:
        return card[1]

    @staticmethod
    def memory(card: Any) -> Any:
        if card[2] is None:
            raise NVMLError("Not Supported")
        return SimpleNamespace(total=card[2])


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[Nvml], Nvml]:
    def with_library(nvml: Nvml) -> Nvml:
        monkeypatch.setitem(sys.modules, "pynvml", nvml)  # type: ignore[arg-type]
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        return nvml

    return with_library


def test_each_gpu_has_its_index_name_and_memory(install: Callable[[Nvml], Nvml]) -> None:
    nvml = install(Nvml([H100, L4]))
    assert inventory() == [
        Gpu(index=0, name="NVIDIA H100 80GB HBM3", memory_gb=80), Gpu(index=1, name="NVIDIA L4", memory_gb=24),
    ]  # fmt: skip
    assert nvml.open == 0


def test_there_are_none_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert inventory() == []


@pytest.mark.parametrize("nvml", [Nvml([H100], driver=False), Nvml([H100], count=False), Nvml([])])
def test_there_are_none_without_a_driver_that_answers(install: Callable[[Nvml], Nvml], nvml: Nvml) -> None:
    assert install(nvml)
    assert inventory() == []
    assert nvml.open == 0


def test_a_gpu_that_does_not_answer_is_left_out_and_the_others_keep_their_index(
    install: Callable[[Nvml], Nvml],
) -> None:
    install(Nvml([H100, None, L4]))
    assert [gpu.index for gpu in inventory()] == [0, 2]


def test_a_gpu_that_shares_the_hosts_memory_is_one_all_the_same(install: Callable[[Nvml], Nvml]) -> None:
    install(Nvml([(b"NVIDIA GB10", b"GPU-cc", None)]))
    assert inventory() == [Gpu(index=0, name="NVIDIA GB10", memory_gb=0)]


@pytest.mark.parametrize(
    ("visible", "indices"),
    [
        ("1", [1]), ("1,0", [1, 0]), ("0, 2", [0, 2]), ("", []), ("-1", []), ("0,7,1", [0]), ("GPU-bb", [1]),
        ("GPU-aa11,GPU-bb22", [0, 1]), ("none", []),
    ],
)  # fmt: skip
def test_a_worker_that_may_use_only_some_of_them_says_only_those(
    install: Callable[[Nvml], Nvml], monkeypatch: pytest.MonkeyPatch, visible: str, indices: list[int]
) -> None:
    install(Nvml([H100, L4, (*H100[:1], "GPU-dd33", H100[2])]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [gpu.index for gpu in inventory()] == indices


def test_equal_gpus_are_counted() -> None:
    cards = [Gpu(index=index, name=name, memory_gb=80) for index, name in enumerate(("H100", "H100", "L4"))]
    assert described(cards) == "2 × H100, 1 × L4"
    assert described([]) == ""


def test_a_worker_says_which_it_has_and_an_older_one_that_does_not_is_a_worker_too(redis_client: Redis) -> None:
    beat(redis_client, "a-1", "1.14.1", "2 × NVIDIA H100 80GB HBM3")
    beat(redis_client, "b-2", "1.14.1")
    facts = redis_client.hget(fleet.WORKERS, "b-2")
    assert isinstance(facts, bytes)
    redis_client.hset(fleet.WORKERS, "c-3", facts.replace(b'"gpus": "", ', b""))
    assert [(worker["name"], worker["gpus"]) for worker in living_workers(redis_client)] == [
        ("a-1", "2 × NVIDIA H100 80GB HBM3"), ("b-2", ""), ("c-3", ""),
    ]  # fmt: skip


def test_a_workers_signs_of_life_carry_its_gpus(workspace: Workspace) -> None:
    mark = publish(workspace.artifacts, workspace.redis, others=False)
    heartbeat = Heartbeat(workspace, mark, "2 × NVIDIA H100 80GB HBM3")
    heartbeat.start()
    deadline = time.monotonic() + 10
    while not (alive := living_workers(workspace.redis)) and time.monotonic() < deadline:
        time.sleep(0.01)
    heartbeat.stop()
    assert [worker["gpus"] for worker in alive] == ["2 × NVIDIA H100 80GB HBM3"]


async def test_the_status_names_the_gpus_of_the_workers_that_have_some(tmp_path: Path) -> None:
    engine = migrated(tmp_path / "db")
    services = FakeServices(Store(engine))
    services.alive = [
        {"name": "w1", "evalscope": "1.14.1", "gpus": "2 × NVIDIA H100 80GB HBM3"},
        {"name": "w2", "evalscope": "1.14.1", "gpus": ""}, {"name": "w3", "evalscope": "1.14.1"},
    ]  # fmt: skip
    (reply,) = await services.say("status")
    engine.dispose()
    assert Fields(items=(("w1", "2 × NVIDIA H100 80GB HBM3"),)) in reply.message.parts
