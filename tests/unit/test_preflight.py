"""The check of an endpoint before anything is paid: bounded in time whatever it does, patient where it is busy."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobs.errors import EndpointBusy, EndpointNotJson, EndpointRefused, EndpointSilent
from jobs.evalscope import preflight
from jobs.models import ModelTarget
from tests.support.endpoint import Endpoint, after, answers, fails


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
        assert time.monotonic() - begun < 3


def test_an_answer_that_drips_for_ever_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "ANSWER_WITHIN", 1.0)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with says(head, drip=0.1) as url:
        begun = time.monotonic()
        with pytest.raises(EndpointSilent):
            preflight.check_endpoint(target(url), None)
        assert time.monotonic() - begun < 3


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
