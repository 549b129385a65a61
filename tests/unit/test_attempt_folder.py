"""Where an attempt goes on from: what this host has, unless a later attempt got further on another one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.artifacts import Shipper
from jobs.models import EvalSpec
from jobs.queue import JobPayload
from jobs.tasks import Attempt
from jobs.workspace import Workspace

Begin = Callable[[str, int], Path]


@pytest.fixture
def begin(workspace: Workspace, mock_spec: Callable[..., EvalSpec], tmp_path: Path) -> Begin:
    """Begin an attempt of run 7 on a host; return its folder there. The hosts share the store."""

    def begin(host: str, number: int) -> Path:
        settings = workspace.settings.model_copy(update={"data_dir": tmp_path / host})
        own = Workspace(host, settings, workspace.redis, workspace.artifacts, workspace.catalog)
        attempt = Attempt(own, JobPayload(run_id=7, attempt=number, spec=mock_spec()))
        attempt._prepare_folder()
        return settings.folder / "work" / "r7"

    return begin


def evaluate(folder: Path, samples: int) -> None:
    """Leave what an evaluation leaves."""
    (folder / "configs").mkdir(exist_ok=True)
    (folder / "configs" / "task_config.yaml").touch()
    (folder / "predictions").mkdir(exist_ok=True)
    (folder / "predictions" / "p.jsonl").write_text("{}\n" * samples, encoding="utf-8")


def ship(workspace: Workspace, folder: Path) -> None:
    Shipper(workspace.artifacts, 7, folder).ship()


def samples(folder: Path) -> int:
    path = folder / "predictions" / "p.jsonl"
    return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0


def test_an_attempt_goes_on_from_its_own_hosts_folder_which_is_newer_than_the_store(
    begin: Begin, workspace: Workspace
) -> None:
    folder = begin("a", 1)
    evaluate(folder, 3)
    ship(workspace, folder)
    evaluate(folder, 5)
    assert samples(begin("a", 2)) == 5
    assert samples(begin("a", 4)) == 5  # the attempt between was sent to another host and never began


def test_an_attempt_on_another_host_goes_on_from_the_store(begin: Begin, workspace: Workspace) -> None:
    folder = begin("a", 1)
    evaluate(folder, 3)
    ship(workspace, folder)
    assert samples(begin("b", 2)) == 3


def test_an_attempt_that_comes_back_to_a_host_goes_on_from_what_another_one_got_to_meanwhile(
    begin: Begin, workspace: Workspace
) -> None:
    folder = begin("a", 1)
    evaluate(folder, 3)
    ship(workspace, folder)
    folder = begin("b", 2)
    evaluate(folder, 9)
    ship(workspace, folder)
    assert samples(begin("a", 3)) == 9


def test_what_another_installation_left_in_the_store_is_not_taken_for_newer(begin: Begin, workspace: Workspace) -> None:
    stranger = begin("stranger", 1)
    evaluate(stranger, 20)
    (stranger / "attempt").write_text("8", encoding="ascii")
    ship(workspace, stranger)
    folder = begin("a", 1)
    evaluate(folder, 3)
    assert samples(begin("a", 2)) == 3
