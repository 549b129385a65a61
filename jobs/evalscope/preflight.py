"""Checks that take seconds and spare hours: the endpoint, the data, the extras."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from jobs.catalog import Catalog
from jobs.config import Config
from jobs.errors import (
    DatasetMissing,
    EndpointNotJson,
    EndpointRefused,
    EndpointSilent,
    ExtraMissing,
    KeyMissing,
    KeyNotForHost,
    NltkMissing,
    NothingScored,
    SandboxNeeded,
    UnknownBenchmark,
)
from jobs.evalscope import fixes
from jobs.evalscope.failures import by_status
from jobs.models import DatasetTarget, ModelTarget
from jobs.sample import SAMPLE_DATASETS

if TYPE_CHECKING:
    import httpx

ANSWER_WITHIN = 15.0
"""Seconds an endpoint has for one token; a local server that loads its model on first use needs some."""

BUSY_WAIT = 2.0
"""Seconds between two tries of a busy endpoint that does not say when to come back."""
MOST_BYTES = 1 << 20
"""More than an answer of one token ever has."""

_NEEDS_PUNKT = frozenset({"ifeval", "multi_if", "ifbench"})


def read_key(model: ModelTarget, config: Config) -> str | None:
    """Return the key's value on this worker, None where the model has none; never log it."""
    import os

    if model.key is None:
        return None
    entry = config.keys.get(model.key)
    if entry is None:
        raise KeyMissing(key=model.key, where="scopebot.toml")
    host = urlsplit(model.api_url or "").hostname or ""
    anywhere = not entry.hosts and model.network == "registered"  # an admin chose key and address together
    if model.api_url and host not in entry.hosts and not anywhere:
        raise KeyNotForHost(key=model.key, host=host)
    if entry.env is not None:
        value = os.environ.get(entry.env, "")
        if not value:
            raise KeyMissing(key=model.key, where=f"${entry.env}")
        return value
    assert entry.file is not None
    try:
        return entry.file.expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        raise KeyMissing(key=model.key, where=str(entry.file)) from error


def check_endpoint(model: ModelTarget, key: str | None) -> None:
    """Ask an OpenAI-compatible endpoint for one token; raise the `RunError` that says what is wrong with it."""
    import httpx

    if model.api_url is None or model.eval_type != "openai_api":
        return
    base = model.api_url.rstrip("/").removesuffix("/chat/completions")
    headers = {"Authorization": f"Bearer {key or 'EMPTY'}"}
    with httpx.Client(timeout=httpx.Timeout(ANSWER_WITHIN, connect=5.0), headers=headers) as client:
        deadline = time.monotonic() + ANSWER_WITHIN
        try:
            answer = _one_token(client, base, model.model, deadline)
            offered = _offered(client, base, deadline) if answer.status == 404 else ""
        except (httpx.TimeoutException, TimeoutError) as error:
            raise EndpointSilent(url=model.api_url, seconds=int(ANSWER_WITHIN)) from error
        except httpx.TransportError as error:
            raise EndpointRefused(url=model.api_url) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:  # an answer that cannot be unpacked, an odd redirect
            raise EndpointNotJson(url=model.api_url) from error
    if answer.status >= 300:
        detail = _message(answer.text)
        raise by_status(answer.status, model.api_url, detail, model=model.model, offered=offered)
    if not _is_completion(answer.text):
        raise EndpointNotJson(url=model.api_url)


class _Answer(NamedTuple):
    status: int
    text: str
    wait: float
    """Seconds that the endpoint asks to be left alone for."""


def _one_token(client: httpx.Client, base: str, model: str, deadline: float) -> _Answer:
    """Ask for one token; again with the newer name of the limit, and while the endpoint is busy and there is time."""
    limit = "max_tokens"
    while True:
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], limit: 1}
        answer = _ask(client, "POST", f"{base}/chat/completions", deadline, json=body)
        if answer.status == 400 and limit == "max_tokens":  # newer models take max_completion_tokens alone
            limit = "max_completion_tokens"
        elif answer.status == 429 and time.monotonic() + answer.wait < deadline:
            time.sleep(answer.wait)
        else:
            return answer


def _ask(client: httpx.Client, method: str, url: str, deadline: float, **request: Any) -> _Answer:
    """Send a request and read its answer by the deadline, also one that drips; raises TimeoutError after it."""
    content = bytearray()
    with client.stream(method, url, **request) as answer:
        for chunk in answer.iter_bytes():
            content += chunk
            if time.monotonic() > deadline:
                raise TimeoutError
            if len(content) > MOST_BYTES:
                break
        after = answer.headers.get("retry-after", "")
    return _Answer(
        answer.status_code, content.decode(errors="replace"), float(after) if after.isdecimal() else BUSY_WAIT
    )


def check_dataset(dataset: DatasetTarget, catalog: Catalog, config: Config, shared: Path) -> None:
    """Raise for a data set that this worker cannot evaluate; `shared` is a folder for what all runs use."""
    info = catalog.by_name.get(dataset.benchmark)
    if info is None:
        raise UnknownBenchmark(name=dataset.benchmark, nearest=", ".join(catalog.nearest(dataset.benchmark)))
    if info.runs_code and not config.access.allow_host_code:
        raise SandboxNeeded(benchmark=dataset.name)
    if dataset.local and not local_folder(dataset, config).is_dir():
        raise DatasetMissing(dataset=dataset.name, path=str(local_folder(dataset, config)))
    metrics = dataset.args.get("metric_list") or list(info.metrics)
    assert isinstance(metrics, list)
    bleu = any("bleu" in json.dumps(metric).lower() for metric in metrics)
    if (bleu or dataset.benchmark in _NEEDS_PUNKT) and not fixes.provide_nltk_data(shared / "nltk_data"):
        raise NltkMissing(detail="tokenizers/punkt_tab")
    if dataset.benchmark == "ifeval" and importlib.util.find_spec("langdetect") is None:
        raise ExtraMissing(install="pip install 'evalscope[ifeval]'")


def check_loads(task: Mapping[str, Any], benchmark: str) -> None:
    """Load one sample of each of a benchmark's subsets as EvalScope will; raises what that raises."""
    from evalscope.api.registry import get_benchmark
    from evalscope.config import TaskConfig

    loaded = get_benchmark(benchmark, TaskConfig(**{**task, "datasets": [benchmark], "limit": 1})).load_dataset()
    if not any(len(samples) for samples in loaded.values()):
        raise NothingScored


def local_folder(dataset: DatasetTarget, config: Config) -> Path:
    """Return where a local data set lies on this worker: paths never come through the queue."""
    if dataset.name in SAMPLE_DATASETS:
        return SAMPLE_DATASETS[dataset.name].folder
    entry = config.datasets.get(dataset.name)
    if entry is None:
        raise DatasetMissing(dataset=dataset.name, path="scopebot.toml")
    return entry.local_path.expanduser()


def _offered(client: httpx.Client, base: str, deadline: float) -> str:
    """Return what the endpoint says it has, for a wrong model name."""
    import httpx

    try:
        data = json.loads(_ask(client, "GET", f"{base}/models", deadline).text)
        return ", ".join(str(entry["id"]) for entry in data["data"][:10])
    except (httpx.HTTPError, TimeoutError, ValueError, KeyError, TypeError):
        return ""


def _is_completion(text: str) -> bool:
    try:
        data = json.loads(text)
    except ValueError:
        return False
    return isinstance(data, dict) and bool(data.get("choices"))


def _message(text: str) -> str:
    """Return the endpoint's own words, from an OpenAI-style error or as they are."""
    try:
        error = json.loads(text)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return text.strip()[:200]
