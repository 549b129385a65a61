"""From what libraries raise to an error a person can act on."""

from __future__ import annotations

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import (
    EndpointDenied,
    EndpointRefused,
    HostRefused,
    NltkMissing,
    RunCrashed,
    RunError,
    ScopebotError,
)  # fmt: skip
from jobs.evalscope.failures import DETAIL_LENGTH, brief, by_status, classify

URL = "http://h/v1"
REQUEST = httpx.Request("POST", URL)


def status_error(status: int) -> openai.APIStatusError:
    return openai.APIStatusError("no", response=httpx.Response(status, request=REQUEST), body=None)


class MetricDataMissing(Exception):
    """Has the name of the one that the evaluator raises."""


class LocalEntryNotFoundError(Exception):
    """Has the name of huggingface_hub's."""


def every_error(kind: type[ScopebotError] = ScopebotError) -> list[type[ScopebotError]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in every_error(child))]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "endpoint_rejected"), (401, "endpoint_denied"), (403, "endpoint_denied"), (404, "endpoint_wrong_model"),
        (405, "endpoint_not_json"), (408, "endpoint_silent"), (409, "endpoint_rejected"), (418, "endpoint_rejected"),
        (422, "endpoint_rejected"), (429, "endpoint_busy"), (500, "endpoint_broken"), (502, "endpoint_broken"),
        (503, "endpoint_broken"), (599, "endpoint_broken"),
    ],
)  # fmt: skip
def test_a_status_says_what_is_wrong_with_the_endpoint(status: int, code: str) -> None:
    for error in (by_status(status, URL, "no"), classify(status_error(status), api_url=URL)):
        assert error.code == code
        assert error.params["url"] == URL
        assert error.params["status"] == status


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (openai.APITimeoutError(REQUEST), "endpoint_silent"),
        (httpx.ReadTimeout("slow"), "endpoint_silent"),
        (httpx.ConnectTimeout("slow"), "endpoint_silent"),
        (openai.APIConnectionError(request=REQUEST), "endpoint_refused"),
        (
            openai.APIResponseValidationError(httpx.Response(200, request=REQUEST), body=None, message="html"),
            "endpoint_not_json",
        ),
        (ValueError("The response has No Choices"), "endpoint_not_json"),
        (PermissionError("Scopebot's address rule refuses a connection to 10.0.0.1"), "host_refused"),
        (MetricDataMissing('{"bleu": "…"}'), "nltk_missing"),
        (LookupError("Resource punkt_tab not found"), "nltk_missing"),
        (LocalEntryNotFoundError("offline"), "dataset_unreachable"),
        (RuntimeError("E1001: cannot reach the hub"), "dataset_unreachable"),
        (ImportError("no ragas; `pip install evalscope[rag]`"), "extra_missing"),
        (ModuleNotFoundError("No module named 'x'"), "extra_missing"),
        (ValueError("Benchmark 'gsm9k' not found"), "unknown_benchmark"),
        (ValueError("something else"), "run_crashed"),
        (PermissionError("a file"), "run_crashed"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_raised_becomes_the_error_that_says_what_to_do(error: Exception, code: str) -> None:
    assert classify(error, api_url=URL).code == code


def test_a_refused_host_is_named() -> None:
    error = classify(PermissionError("Scopebot's address rule refuses a connection to 10.0.0.1"))
    assert isinstance(error, HostRefused)
    assert error.params == {"host": "10.0.0.1"}


def test_an_extra_that_lacks_is_told_with_its_install_line() -> None:
    assert classify(ImportError("no ragas; `pip install evalscope[rag]`.")).params == {
        "install": "pip install evalscope[rag]"
    }


def caused(error: Exception, *causes: Exception) -> Exception:
    """Return the error as it is when each was raised from the one that follows it."""
    link = error
    for cause in causes:
        link.__cause__ = cause
        link = cause
    return error


def test_the_cause_below_is_found_and_not_what_wrapped_it() -> None:
    assert isinstance(classify(caused(RuntimeError("evaluation failed"), status_error(401))), EndpointDenied)
    during = RuntimeError("evaluation failed")
    during.__context__ = status_error(401)
    assert isinstance(classify(during), EndpointDenied)


def test_the_address_rules_word_goes_before_what_clients_and_our_own_check_made_of_it() -> None:
    refusal = PermissionError("Scopebot's address rule refuses a connection to 127.0.0.1")
    client = caused(httpx.ConnectError("refused"), refusal)
    for error in (openai.APIConnectionError(request=REQUEST), EndpointRefused(url=URL)):
        found = classify(caused(error, client), api_url=URL)
        assert isinstance(found, HostRefused)
        assert found.params == {"host": "127.0.0.1"}


def test_an_error_of_ours_anywhere_in_the_chain_goes_first() -> None:
    ours = EndpointRefused(url=URL)
    outer = status_error(500)
    outer.__cause__ = ours
    assert classify(outer) is ours


def test_a_chain_that_bites_its_tail_ends() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert isinstance(classify(one), RunCrashed)


@given(st.text(max_size=2000))
def test_a_detail_fits_into_a_chat_message(text: str) -> None:
    assert len(brief(ValueError(text))) <= DETAIL_LENGTH
    found = classify(ValueError(text))
    assert all(len(str(value)) <= DETAIL_LENGTH for value in found.params.values())


def test_a_brief_is_the_last_line_with_the_errors_name() -> None:
    assert brief(ValueError("one\ntwo\n\n")) == "ValueError: two"
    assert brief(ValueError("")) == "ValueError: "


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_an_errors_code_is_its_name_in_snake_case_and_no_other_has_it(kind: type[ScopebotError]) -> None:
    assert kind.code.replace("_", "") == kind.__name__.lower()
    assert [other for other in every_error() if other.code == kind.code] == [kind]


def test_an_error_of_a_run_is_one_a_person_can_act_on() -> None:
    assert issubclass(NltkMissing, RunError)
    assert issubclass(RunError, ScopebotError)
    assert str(NltkMissing(detail="punkt")) == "nltk_missing: {'detail': 'punkt'}"
