"""The check of an endpoint before anything is paid: bounded in time whatever it does, patient where it is busy."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.catalog import snapshot
from jobs.config import Config
from jobs.errors import (
    DatasetMissing,
    EndpointBroken,
    EndpointBusy,
    EndpointDenied,
    EndpointNotJson,
    EndpointRefused,
    EndpointSilent,
    EndpointWrongModel,
    ExtraMissing,
    KeyMissing,
    KeyNotForHost,
    NltkMissing,
    NothingScored,
    SandboxNeeded,
    UnknownBenchmark,
)
from jobs.evalscope import fixes, preflight
from jobs.models import DatasetTarget, ModelTarget
from tests.support.endpoint import (
    MODEL,
    Answer,
    Behaviour,
    Endpoint,
    after,
    answers,
    fails,
    html,
    no_choices,
    only_new_max_tokens,
)


def target(url: str) -> ModelTarget:
    return ModelTarget(name="tiny", model="tiny", eval_type="openai_api", api_url=url)


@contextmanager
def says(answer: bytes, *, drip: float = 0.0) -> Iterator[str]:
    """Answer every request with these bytes, one at a time with pauses where `drip`."""
    over = threading.Event()

    def serve(server: socket.socket) -> None:
        while not over.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                try:
                    connection.sendall(answer)
                    while drip and not over.wait(drip):
                        connection.sendall(b"1\r\n \r\n")
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        over.set()


def test_an_endpoint_that_is_busy_for_a_moment_is_asked_again_when_it_says() -> None:
    with Endpoint(after(2, answers(), fails(429, **{"Retry-After": "1"}))) as endpoint:
        begun = time.monotonic()
        preflight.check_endpoint(target(endpoint.url), None)
        assert time.monotonic() - begun >= 2
        assert len(endpoint.calls) == 3


def test_an_endpoint_that_stays_busy_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "ANSWER_WITHIN", 1.0)
    monkeypatch.setattr(preflight, "BUSY_WAIT", 0.3)
    with Endpoint(fails(429)) as endpoint:
        begun = time.monotonic()
        with pytest.raises(EndpointBusy):
            preflight.check_endpoint(target(endpoint.url), None)
        assert time.monotonic() - begun < 10


def test_an_answer_that_drips_for_ever_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "ANSWER_WITHIN", 1.0)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with says(head, drip=0.1) as url:
        begun = time.monotonic()
        with pytest.raises(EndpointSilent):
            preflight.check_endpoint(target(url), None)
        assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", EndpointNotJson),
        (b"220 smtp.example.com ESMTP\r\n", EndpointRefused),
    ],
    ids=["not gzip", "not HTTP"],
)
def test_an_answer_that_cannot_be_read_is_told_as_one(answer: bytes, error: type[Exception]) -> None:
    with says(answer) as url, pytest.raises(error):
        preflight.check_endpoint(target(url), None)


def test_an_address_that_is_none_is_told_as_one() -> None:
    with pytest.raises((EndpointNotJson, EndpointRefused)):
        preflight.check_endpoint(target("http://[::1"), None)


# what an endpoint is asked, and what is made of its answer


def test_a_model_the_endpoint_does_not_have_is_told_with_those_it_has() -> None:
    with Endpoint() as endpoint, pytest.raises(EndpointWrongModel) as told:
        preflight.check_endpoint(target(endpoint.url).model_copy(update={"model": "huge"}), None)
    assert (told.value.params["model"], told.value.params["offered"]) == ("huge", MODEL)


def test_an_endpoint_that_lists_no_models_is_still_told_from_a_wrong_path() -> None:
    with Endpoint(fails(404, "no model tiny here"), html_on_get=True) as endpoint:
        with pytest.raises(EndpointWrongModel):
            preflight.check_endpoint(target(endpoint.url), None)
        with pytest.raises(EndpointNotJson):
            preflight.check_endpoint(target(endpoint.url.removesuffix("/v1")), None)


def test_an_endpoint_that_takes_the_newer_name_of_the_limit_alone_passes() -> None:
    with Endpoint(only_new_max_tokens) as endpoint:
        preflight.check_endpoint(target(endpoint.url), None)
        assert [sorted(call.body.keys() - {"messages", "model"}) for call in endpoint.calls] == [
            ["max_tokens"],
            ["max_completion_tokens"],
        ]


def test_the_key_is_sent_and_what_the_endpoint_says_of_it_is_told() -> None:
    with Endpoint(key="right") as endpoint:
        preflight.check_endpoint(target(endpoint.url), "right")
        with pytest.raises(EndpointDenied) as told:
            preflight.check_endpoint(target(endpoint.url), "wrong")
    assert told.value.params["detail"] == "invalid key"


@pytest.mark.parametrize(
    "behaviour", [html, no_choices, lambda _call: Answer(body=[1])], ids=["a page", "no choices", "a list"]
)
def test_an_answer_that_is_no_completion_is_told_as_one(behaviour: Behaviour) -> None:
    with Endpoint(behaviour) as endpoint, pytest.raises(EndpointNotJson):
        preflight.check_endpoint(target(endpoint.url), None)


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    endless = Answer(500, "x" * (3 << 20), "text/plain")
    with Endpoint(lambda _call: endless) as endpoint, pytest.raises(EndpointBroken) as told:
        preflight.check_endpoint(target(endpoint.url), None)
    assert told.value.params["detail"] == "x" * 200


def test_a_model_without_an_endpoint_has_nothing_to_be_asked() -> None:
    preflight.check_endpoint(ModelTarget(name="mock", model="mock_llm", eval_type="mock_llm"), None)


# the key


def config(**keys: Any) -> Config:
    return Config.model_validate({"keys": keys})


def holding(key: str | None, **fields: Any) -> ModelTarget:
    return ModelTarget(
        name="prod", model="m", eval_type="openai_api", key=key,
        **({"api_url": "https://api.example/v1", "network": "registered"} | fields),
    )  # fmt: skip


def test_a_key_is_read_from_its_variable_or_its_file_and_a_model_without_one_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "from the variable")
    (tmp_path / "key").write_text("from the file\n", encoding="utf-8")
    known = config(
        variable={"env": "A_KEY", "hosts": ["api.example"]}, file={"file": str(tmp_path / "key")},
    )  # fmt: skip
    found = [preflight.read_key(holding(name), known) for name in ("variable", "file", None)]
    assert found == ["from the variable", "from the file", None]


@pytest.mark.parametrize(
    ("entry", "where"),
    [(None, "scopebot.toml"), ({"env": "NOT_SET"}, "$NOT_SET"), ({"file": "/no/such/key"}, "/no/such/key")],
)
def test_a_key_this_worker_does_not_have_is_told_with_where_it_was_looked_for(
    entry: dict[str, Any] | None, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(KeyMissing) as told:
        preflight.read_key(holding("k"), config() if entry is None else config(k=entry))
    assert told.value.params == {"key": "k", "where": where}


@pytest.mark.parametrize(
    ("hosts", "fields"),
    [
        (["other.example"], {}),
        ([], {"network": "checked"}),
        (["other.example"], {"network": "console"}),
        (["api.example"], {"api_url": "https://api.example.evil.example/v1"}),
    ],
)
def test_a_key_is_never_read_for_a_host_it_is_not_registered_for(hosts: list[str], fields: dict[str, Any]) -> None:
    with pytest.raises(KeyNotForHost):
        preflight.read_key(holding("k", **fields), config(k={"file": "/no/such/key", "hosts": hosts}))


# the data


def check(dataset: DatasetTarget, folder: Path, **access: Any) -> None:
    preflight.check_dataset(dataset, snapshot(), Config.model_validate({"access": access}), folder)


def test_an_unknown_benchmark_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownBenchmark) as told:
        check(DatasetTarget(name="gsm9k", benchmark="gsm9k"), tmp_path)
    assert "gsm8k" in str(told.value.params["nearest"])


def test_a_benchmark_that_runs_code_needs_the_admins_word(tmp_path: Path) -> None:
    humaneval = DatasetTarget(name="humaneval", benchmark="humaneval")
    with pytest.raises(SandboxNeeded):
        check(humaneval, tmp_path)
    check(humaneval, tmp_path, allow_host_code=True)


def test_a_local_data_set_this_worker_does_not_have_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing) as told:
        check(DatasetTarget(name="lost", benchmark="general_qa", local=True), tmp_path)
    assert told.value.params["path"] == "scopebot.toml"


@pytest.mark.parametrize(
    ("benchmark", "args"), [("ifeval", {}), ("general_qa", {}), ("general_mcq", {"metric_list": [{"bleu": {}}]})]
)
def test_what_needs_nltks_data_is_refused_where_it_cannot_be_had_instead_of_scored_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, benchmark: str, args: dict[str, Any]
) -> None:
    looked: list[Path] = []
    monkeypatch.setattr(fixes, "provide_nltk_data", lambda folder: bool(looked.append(folder)))
    with pytest.raises(NltkMissing):
        check(DatasetTarget(name="x", benchmark=benchmark, args=args), tmp_path)
    assert looked == [tmp_path / "nltk_data"]


def test_ifeval_without_its_language_checks_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fixes, "provide_nltk_data", lambda _folder: True)
    monkeypatch.setattr(preflight.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ExtraMissing) as told:
        check(DatasetTarget(name="ifeval", benchmark="ifeval"), tmp_path)
    assert "evalscope[ifeval]" in str(told.value.params["install"])


@pytest.mark.parametrize(
    ("loaded", "outcome"),
    [
        ({}, pytest.raises(NothingScored)),
        ({"en": [], "zh": []}, pytest.raises(NothingScored)),
        ({"en": [], "zh": [1]}, nullcontext()),
    ],
)
def test_a_benchmark_that_loads_without_one_sample_is_told_before_anything_is_paid(
    monkeypatch: pytest.MonkeyPatch, loaded: dict[str, list[int]], outcome: Any
) -> None:
    import evalscope.api.registry

    asked: list[Any] = []

    def get_benchmark(name: str, task: Any) -> Any:
        asked.append((name, task.datasets, task.limit))
        return SimpleNamespace(load_dataset=lambda: loaded)

    monkeypatch.setattr(evalscope.api.registry, "get_benchmark", get_benchmark)
    with outcome:
        preflight.check_loads({"model": "mock_llm", "eval_type": "mock_llm", "limit": 500}, "general_qa")
    assert asked == [("general_qa", ["general_qa"], 1)]
