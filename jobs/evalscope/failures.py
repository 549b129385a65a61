"""From what EvalScope, the OpenAI SDK or a hub raised to an error a person can act on."""

from __future__ import annotations

import re
from pathlib import Path

from jobs.errors import (
    DatasetMissing,
    DatasetUnreachable,
    EndpointBroken,
    EndpointBusy,
    EndpointDenied,
    EndpointNotJson,
    EndpointRefused,
    EndpointRejected,
    EndpointSilent,
    EndpointWrongModel,
    ExtraMissing,
    HostRefused,
    NltkMissing,
    RunCrashed,
    RunTimedOut,
    ScopebotError,
    SubsetMissing,
    UnknownBenchmark,
)
from jobs.space import chain, is_full, told

DETAIL_LENGTH = 300
HIDDEN = "[key]"
"""Stands where a key stood in what an endpoint said."""

_DATA_FILES = frozenset({".jsonl", ".csv", ".tsv"})

_BY_STATUS: dict[int, type[ScopebotError]] = {
    400: EndpointRejected, 401: EndpointDenied, 403: EndpointDenied,
    405: EndpointNotJson, 408: EndpointSilent, 422: EndpointRejected, 429: EndpointBusy,
}  # fmt: skip


def classify(error: BaseException, *, api_url: str = "", model: str = "", secret: str | None = None) -> ScopebotError:
    """Return the error that says what happened and what to do; `RunCrashed` for what is not known.

    An endpoint that quotes the key it was sent does not get it into the error: `secret` is left out.
    """
    found = _known(error, api_url, model)
    if secret:
        found.params = {n: v.replace(secret, HIDDEN) if isinstance(v, str) else v for n, v in found.params.items()}
    return found


def _known(error: BaseException, api_url: str, model: str) -> ScopebotError:
    for link in chain(error):  # the guard's word goes first: clients wrap it as a connection that failed
        if isinstance(link, PermissionError) and "address rule" in str(link):
            return HostRefused(host=str(link).rsplit(" ", 1)[-1])
    for link in chain(error):
        if isinstance(link, ScopebotError):
            return link
    if is_full(error):
        return told(error, Path.cwd())
    for link in chain(error):
        found = _one(link, api_url, model)
        if found is not None:
            return found
    return RunCrashed(detail=brief(error))


def by_status(status: int, api_url: str, detail: str, *, model: str = "", offered: str = "") -> ScopebotError:
    """Return the error of an HTTP status an endpoint answered with."""
    if status == 404:
        # no list of models and no word about this one: it is the path that is not there
        if not offered and model not in detail:
            return EndpointNotJson(url=api_url, status=status)
        return EndpointWrongModel(url=api_url, model=model, offered=offered or "–", status=status)
    kind = _BY_STATUS.get(status, EndpointBroken if status >= 500 else EndpointRejected)
    return kind(url=api_url, status=status, detail=detail[:DETAIL_LENGTH])


def brief(error: BaseException) -> str:
    """Return the error's last line of text, cut to a length a chat message can hold."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"[:DETAIL_LENGTH]


def _one(error: BaseException, api_url: str, model: str) -> ScopebotError | None:
    return _of_endpoint(error, api_url, model) or _of_installation(error)


def _of_endpoint(error: BaseException, api_url: str, model: str) -> ScopebotError | None:
    kind, text = type(error).__name__, str(error)
    if kind == "JobTimeoutException":
        return RunTimedOut()
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and status >= 300:
        return by_status(status, api_url, text, model=model)
    if kind in {"APITimeoutError", "ConnectTimeout", "ReadTimeout"}:
        return EndpointSilent(url=api_url)
    if kind == "APIConnectionError":
        return EndpointRefused(url=api_url)
    if kind == "APIResponseValidationError" or "no choices" in text.lower():
        return EndpointNotJson(url=api_url)
    return None


def _of_installation(error: BaseException) -> ScopebotError | None:
    kind, text = type(error).__name__, str(error)
    kinds = {"_DownloadDeadlineError", "LocalEntryNotFoundError", "OfflineModeIsEnabled"}
    if kind in kinds or "E1001" in text or ("Couldn't reach" in text and "on the Hub" in text):
        return DatasetUnreachable(detail=text[:DETAIL_LENGTH])
    if kind == "MetricDataMissing" or any(word in text for word in ("NLTK resource", "nltk_data", "punkt_tab")):
        return NltkMissing(detail=text[:DETAIL_LENGTH])
    if isinstance(error, ImportError):
        install = re.search(r"pip install [^\n]+", text)
        return ExtraMissing(install=install[0].rstrip("`'. ") if install else text[:DETAIL_LENGTH])
    missing = re.search(r'No dataset file found for subset="([^"]*)", split="([^"]*)" in "([^"]*)"', text)
    if missing:
        return _no_file(subset=missing[1], split=missing[2], folder=Path(missing[3]))
    unknown = re.search(r"Benchmark '([^']+)' not found", text)
    return UnknownBenchmark(name=unknown[1], nearest="") if unknown else None


def _no_file(*, subset: str, split: str, folder: Path) -> ScopebotError:
    """Return what is said of a subset without a file; who knows the data set by its name puts that in."""
    path = str(folder / f"{subset}_{split}.jsonl")
    found = sorted(file.name for file in folder.glob("*") if file.suffix in _DATA_FILES)
    if not found:
        return DatasetMissing(dataset=folder.name, path=path)
    return SubsetMissing(dataset=folder.name, subset=subset, path=path, found=", ".join(found)[:DETAIL_LENGTH])
