"""Endpoints that fail in every way they do: the run fails soon, says why, and says what to do about it."""

from __future__ import annotations

import string
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from horses import Ended, Horses, Running, model, spec
from support.endpoint import (
    MODEL,
    Behaviour,
    Endpoint,
    after,
    answers,
    dies,
    every,
    fails,
    hangs,
    html,
    no_choices,
    only_new_max_tokens,
    refusing_url,
    unanswered_url,
)

from handlers.texts import CATALOGUES, Texts
from jobs.evalscope.observer import ERRORS_IN_A_ROW
from jobs.evalscope.preflight import ANSWER_WITHIN
from jobs.models import Failure

SOON = 8.0
ALL = 34
"""Samples in the English half of sample_qa: enough for the run to give up before their end."""
ADVICE = {
    "endpoint_refused": ("Is the server running", "服务是否已启动"),
    "endpoint_silent": ("Is the model still loading", "是否还在加载"),
    "endpoint_denied": ("Register a valid one", "请登记有效的密钥"),
    "endpoint_wrong_model": ("It offers: ", "可用的有"),
    "endpoint_busy": ("Try again later", "请稍后再试"),
    "endpoint_not_json": ("usually ends in /v1", "通常以 /v1 结尾"),
    # the endpoint's own words are all there is to go by
    "endpoint_rejected": ("made to fail", "made to fail"),
    "endpoint_broken": ("made to fail", "made to fail"),
}


def told(failure: Failure, url: str) -> None:
    """Assert that a failure reads well: no fact is missing, the address is named, and what to do."""
    for language, advice in zip(("en", "zh"), ADVICE[failure.code], strict=True):
        template = CATALOGUES[language][f"error.{failure.code}"]
        needed = {name for _, name, _, _ in string.Formatter().parse(template) if name}
        assert needed <= set(failure.params), f"{failure.code} lacks {needed - set(failure.params)}"
        text = Texts(language).error(failure)
        assert url in text
        assert advice in text
        assert not {"", "None"} & {str(failure.params[name]) for name in needed}


@dataclass
class Slow:
    """What takes its time, begun before everything else of this file."""

    endpoints: dict[str, Endpoint]
    running: dict[str, Running]


@pytest.fixture(scope="module", autouse=True)
def slow(horses: Horses) -> Iterator[Slow]:
    ways = {"hang": hangs, "500": after(7, fails(500)), "die": after(7, dies), "silent": after(7, hangs)}
    with ExitStack() as stack:
        endpoints = {name: stack.enter_context(Endpoint(behaviour)) for name, behaviour in ways.items()}
        running = {}
        for name, endpoint in endpoints.items():
            settings = {"timeout": 1} if name == "silent" else {}
            running[name] = horses.start(spec(model(endpoint.url), limit=ALL, generation_config=settings))
        url = stack.enter_context(unanswered_url())
        running["unread"] = horses.start(spec(model(url)))
        yield Slow(endpoints, running)


def test_a_good_endpoint_is_asked_once_for_each_sample_and_once_before(horses: Horses) -> None:
    with Endpoint() as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url)), within=SOON)
    assert ended.code == "succeeded"
    assert endpoint.faults == []
    assert (len(endpoint.calls), len(endpoint.completions)) == (7, 6)
    assert all(call.body["model"] == MODEL for call in endpoint.calls)
    assert (ended.progress.done, ended.progress.total, ended.progress.errors) == (6, 6, 0)


@pytest.mark.parametrize(
    ("behaviour", "code", "facts"),
    [
        (fails(400), "endpoint_rejected", {"status": 400, "detail": "made to fail"}),
        (fails(401), "endpoint_denied", {"status": 401, "detail": "made to fail"}),
        (fails(403), "endpoint_denied", {"status": 403, "detail": "made to fail"}),
        (fails(404), "endpoint_wrong_model", {"status": 404, "model": "tiny", "offered": MODEL}),
        (fails(422), "endpoint_rejected", {"status": 422, "detail": "made to fail"}),
        (fails(429), "endpoint_busy", {"status": 429, "detail": "made to fail"}),
        (fails(500), "endpoint_broken", {"status": 500, "detail": "made to fail"}),
        (fails(503), "endpoint_broken", {"status": 503, "detail": "made to fail"}),
        (html, "endpoint_not_json", {}),
        (no_choices, "endpoint_not_json", {}),
        (dies, "endpoint_refused", {}),
    ],
    ids=["400", "401", "403", "404", "422", "429", "500", "503", "html", "no choices", "dies"],
)
def test_an_endpoint_that_fails_fails_the_run_at_once(
    horses: Horses, behaviour: Behaviour, code: str, facts: dict[str, object]
) -> None:
    within = SOON + ANSWER_WITHIN if code == "endpoint_busy" else SOON  # a busy one is asked again
    with Endpoint(behaviour) as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url)), within=within)
        assert ended.code == code
        assert ended.failure.params == {"url": endpoint.url} | facts
        told(ended.failure, endpoint.url)
        assert endpoint.faults == []
        assert endpoint.completions == []  # no sample was wasted on it
    assert [event.what for event in ended.events] == ["started", "failed"]
    assert ended.result.benchmarks == ()


def test_a_port_nobody_listens_on(horses: Horses) -> None:
    with refusing_url() as url:
        ended = horses.evaluate(spec(model(url)), within=SOON)
    assert ended.code == "endpoint_refused"
    told(ended.failure, url)


def test_a_host_that_does_not_exist(horses: Horses) -> None:
    url = "http://no-such-host.invalid/v1"
    ended = horses.evaluate(spec(model(url)), within=SOON)
    assert ended.code == "endpoint_refused"
    told(ended.failure, url)


def test_a_model_the_endpoint_does_not_have_names_those_it_has(horses: Horses) -> None:
    with Endpoint() as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url, model="huge")), within=SOON)
    assert ended.code == "endpoint_wrong_model"
    assert ended.failure.params == {"url": endpoint.url, "status": 404, "model": "huge", "offered": MODEL}
    told(ended.failure, endpoint.url)


@pytest.mark.parametrize("path", ["", "/v1/api"])
def test_a_wrong_path_is_told_from_a_wrong_model(horses: Horses, path: str) -> None:
    with Endpoint() as endpoint:
        url = endpoint.url.removesuffix("/v1") + path
        ended = horses.evaluate(spec(model(url)), within=SOON)
    assert ended.code == "endpoint_not_json"
    told(ended.failure, url)


def test_a_page_on_get_alone_is_no_trouble(horses: Horses) -> None:
    with Endpoint(html_on_get=True) as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url)), within=SOON)
    assert ended.code == "succeeded"


def test_an_endpoint_that_takes_max_completion_tokens_alone_passes_the_check(horses: Horses) -> None:
    with Endpoint(only_new_max_tokens) as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url)), within=SOON)
    assert ended.code == "succeeded"
    assert [sorted(call.body.keys() & {"max_tokens", "max_completion_tokens"}) for call in endpoint.calls[:2]] == [
        ["max_tokens"], ["max_completion_tokens"],
    ]  # fmt: skip
    assert len(endpoint.completions) == 6


def test_an_address_that_ends_in_chat_completions_is_understood(horses: Horses) -> None:
    with Endpoint() as endpoint:
        ended = horses.evaluate(spec(model(f"{endpoint.url}/chat/completions")), within=SOON)
    assert ended.code == "succeeded"
    assert endpoint.faults == []


def test_when_every_sample_fails_the_run_fails_and_never_succeeds_without_a_score(horses: Horses) -> None:
    with Endpoint(after(1, fails(422))) as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url)), within=SOON)
    assert len(endpoint.completions) == 6
    assert ended.code == "endpoint_rejected"
    assert (ended.progress.done, ended.progress.errors) == (0, 6)
    assert ended.result.benchmarks == ()


def test_when_some_samples_fail_they_are_counted_and_the_score_is_over_the_rest(horses: Horses) -> None:
    def right_or_wrong(question: str) -> str:
        return "5" if "2 + 3" in question else "not that"

    with Endpoint(every(3, fails(400), answers(right_or_wrong))) as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url), limit=12, eval_batch_size=1), within=SOON)
    assert ended.code == "succeeded"
    result = ended.result.benchmarks[0]
    assert (result.requested, result.succeeded, result.errored) == (12, 8, 4)
    assert result.headline is not None
    assert (result.headline.score, result.headline.num) == (0.125, 8)  # one of eight, not of twelve
    assert (ended.progress.done, ended.progress.total, ended.progress.errors) == (8, 12, 4)


def test_a_model_that_vanishes_in_mid_run_is_named(horses: Horses) -> None:
    with Endpoint(after(1, fails(404, f"The model `{MODEL}` does not exist"))) as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url)), within=SOON)
        assert ended.code == "endpoint_wrong_model"
        told(ended.failure, endpoint.url)


def test_a_key_that_is_revoked_in_mid_run_stops_it(horses: Horses) -> None:
    with Endpoint(after(7, fails(401))) as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url), limit=ALL), within=SOON)
        assert ended.code == "endpoint_denied"
        told(ended.failure, endpoint.url)
    assert ended.progress.done == 6
    # what was in flight when it gave up is all that is still asked for
    assert ERRORS_IN_A_ROW <= len(endpoint.completions) - 6 <= ERRORS_IN_A_ROW + 8


# the slow ones, begun at the start


def test_an_endpoint_that_never_answers_fails_the_run_in_seconds(slow: Slow) -> None:
    ended = slow.running["hang"].ended(within=25)
    assert ended.code == "endpoint_silent"
    assert ended.result.seconds >= ANSWER_WITHIN
    told(ended.failure, slow.endpoints["hang"].url)


def test_an_endpoint_that_only_accepts_connections_fails_the_run_in_seconds(slow: Slow) -> None:
    ended = slow.running["unread"].ended(within=25)
    assert ended.code == "endpoint_silent"
    told(ended.failure, str(slow.running["unread"].spec.model.api_url))


@pytest.mark.parametrize(
    ("way", "code"), [("500", "endpoint_broken"), ("die", "endpoint_refused"), ("silent", "endpoint_silent")]
)
def test_an_endpoint_that_dies_in_mid_run_stops_it_and_leaves_no_score(slow: Slow, way: str, code: str) -> None:
    ended: Ended = slow.running[way].ended(within=60)
    assert ended.code == code
    told(ended.failure, slow.endpoints[way].url)
    assert ended.result.benchmarks == ()  # 6 of 34 answers are no score
    assert ended.progress.done == 6
    assert ERRORS_IN_A_ROW <= ended.progress.errors <= ALL - 6
    assert [event.what for event in ended.events] == ["started", "failed"]
