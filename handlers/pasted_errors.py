"""An error that a person pastes, without a run: known by its words, told with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from handlers.intents.lexicon import URL
from handlers.texts import Texts
from jobs.catalog import Catalog
from jobs.errors import (
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
    NltkMissing,
    ScopebotError,
    UnknownBenchmark,
)

MOST_DETAIL = 200
_STATUS = re.compile(
    r"\b(?:(?:error|status)\s*code|status|HTTP(?:/\d(?:\.\d)?)?(?:\s+error)?|error)\s*[:=]?\s*(?P<code>[45]\d\d)\b"
    r"|\b(?P<named>4(?:00|01|03|04|22|29)|50[0234])\b(?=\s*[:,]?\s*(?:client error|server error|bad|unauthorized|"
    r"forbidden|not found|unprocessable|too many|internal|service|gateway))",
    re.IGNORECASE | re.ASCII,
)
_MODEL = re.compile(
    r"\bmodel\s*[`'\"“]?(?P<name>[\w.\-/:]{2,80})[`'\"”]?\s+(?:does|not|is|was)\b", re.IGNORECASE | re.ASCII
)
_INSTALL = re.compile(r"pip install [^\n`'\"]{1,100}", re.ASCII)
_MODULE = re.compile(r"No module named ['\"]?(?P<name>[\w.]{1,80})", re.ASCII)
_BENCHMARK = re.compile(r"Benchmark ['\"](?P<name>[^'\"]{1,80})['\"] not found", re.ASCII)

OWN: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "diagnose.known.disk",
        re.compile(r"No space left on device|ENOSPC|Errno 28|磁盘(?:空间)?(?:已满|不足)", re.IGNORECASE),
    ),
    ("diagnose.known.gpu_memory", re.compile(r"CUDA out of memory|OutOfMemoryError|显存不足", re.IGNORECASE)),
    ("diagnose.known.killed", re.compile(r"\bOOM[- ]?kill|\bSIGKILL\b|signal 9\b|MemoryError|内存不足", re.IGNORECASE)),
)
"""What is told in words of its own: the error of a run has facts that a pasted line lacks."""

_OF_DATA: tuple[tuple[type[ScopebotError], re.Pattern[str]], ...] = (
    (NltkMissing, re.compile(r"punkt_tab|nltk_data|NLTK resource", re.IGNORECASE)),
    (
        DatasetUnreachable,
        re.compile(
            r"E1001|Couldn't reach .{1,200} on the Hub|LocalEntryNotFoundError|OfflineModeIsEnabled|"
            r"(?:huggingface\.co|modelscope\.cn|hf-mirror\.com).{0,200}(?:Max retries|timed out|refused|unreachable)",
            re.IGNORECASE | re.DOTALL,
        ),
    ),
)
_OF_ENDPOINT: tuple[tuple[type[ScopebotError], re.Pattern[str]], ...] = (
    (
        EndpointDenied,
        re.compile(
            r"AuthenticationError|PermissionDeniedError|(?:invalid|incorrect) api[ _-]?key|unauthorized", re.IGNORECASE
        ),
    ),
    (EndpointBusy, re.compile(r"RateLimitError|rate limit|too many requests|quota exceeded|限流", re.IGNORECASE)),
    (EndpointSilent, re.compile(r"time(?:d )?-?out|超时", re.IGNORECASE)),
    (
        EndpointRefused,
        re.compile(
            r"Connection(?:Refused)?Error|connection (?:refused|error|reset)|Max retries exceeded|"
            r"Name or service not known|Failed to (?:establish|resolve)|连接(?:被拒绝|失败)",
            re.IGNORECASE,
        ),
    ),
    (EndpointRejected, re.compile(r"BadRequestError|maximum context length|UnprocessableEntity", re.IGNORECASE)),
    (EndpointBroken, re.compile(r"InternalServerError|bad gateway|service unavailable", re.IGNORECASE)),
    (EndpointNotJson, re.compile(r"JSONDecodeError|Expecting value|<!doctype html|<html", re.IGNORECASE)),
)
_BY_STATUS: Mapping[int, type[ScopebotError]] = {
    400: EndpointRejected, 401: EndpointDenied, 403: EndpointDenied, 404: EndpointWrongModel, 422: EndpointRejected,
    429: EndpointBusy,
}  # fmt: skip


def explain(text: str, texts: Texts, catalog: Catalog) -> str | None:
    """Return what an error means and what to do; None for one that is not known."""
    own = next((key for key, pattern in OWN if pattern.search(text)), None)
    if own is not None:
        return texts(own)
    found = _of_installation(text, catalog) or _of_endpoint(text, texts)
    said = "" if found is None else texts.error(found)
    return said[:1].upper() + said[1:] if said else None


def _of_installation(text: str, catalog: Catalog) -> ScopebotError | None:
    if unknown := _BENCHMARK.search(text):
        return UnknownBenchmark(name=unknown["name"], nearest=", ".join(catalog.nearest(unknown["name"])))
    if module := _MODULE.search(text):
        install = _INSTALL.search(text)
        return ExtraMissing(install=install[0].strip() if install else f"pip install {module['name'].split('.')[0]}")
    return next((kind() for kind, pattern in _OF_DATA if pattern.search(text)), None)


def _of_endpoint(text: str, texts: Texts) -> ScopebotError | None:
    status = _STATUS.search(text)
    code = int(status["code"] or status["named"]) if status else None
    if code is not None:
        kind = _BY_STATUS.get(code, EndpointBroken if code >= 500 else EndpointRejected)
    else:
        known = next((kind for kind, pattern in _OF_ENDPOINT if pattern.search(text)), None)
        if known is None:
            return None
        kind = known
    url, model = URL.search(text), _MODEL.search(text)
    return kind(
        url=url[0].rstrip(".:,)") if url else texts("diagnose.the_endpoint"),
        status=code or "–",
        detail=_last_line(text),
        model=model["name"] if model else texts("diagnose.the_model"),
        offered="–",
    )


def _last_line(text: str) -> str:
    """Return what a traceback ends with; of other texts their end."""
    named = [match.start() for match in re.finditer(r"\b\w+(?:Error|Exception)\b", text, re.ASCII)]
    said = text[named[-1] :] if named else text[-MOST_DETAIL:]
    return " ".join(said.split())[:MOST_DETAIL]
