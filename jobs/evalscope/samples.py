"""`samples.db`: every finished sample of a run, one row each, written as it finishes.

Table `samples`: dataset, subset, sample_id, group_id, content (SHA-256 of question and target, the same across
runs and models), question, target, answer, extracted, scores (JSON: metric → value), prompt_tokens,
completion_tokens, latency (seconds, NULL where it came from the cache).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from jobs.models import Tokens

SAMPLES = "samples.db"
"""Its name in the run's folder."""
_TABLE = """
CREATE TABLE IF NOT EXISTS samples (
    dataset TEXT NOT NULL, subset TEXT NOT NULL, sample_id TEXT NOT NULL, group_id TEXT NOT NULL,
    content TEXT NOT NULL, question TEXT NOT NULL, target TEXT NOT NULL, answer TEXT NOT NULL, extracted TEXT,
    scores TEXT NOT NULL, prompt_tokens INTEGER, completion_tokens INTEGER, latency REAL,
    PRIMARY KEY (dataset, subset, sample_id)
)
"""


class Sample(NamedTuple):
    """One finished sample."""

    dataset: str
    subset: str
    sample_id: str
    group_id: str
    question: str
    target: str
    answer: str
    extracted: str | None
    scores: Mapping[str, float]
    prompt_tokens: int | None
    completion_tokens: int | None
    latency: float | None


class Usage(NamedTuple):
    """What the finished samples of a benchmark took, over all attempts."""

    tokens: Tokens
    latency_mean: float | None
    """Seconds of one request."""


def read_usage(path: Path, dataset: str) -> Usage:
    """Sum up a benchmark's rows of a `samples.db`."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        query = "SELECT sum(prompt_tokens), sum(completion_tokens), avg(latency) FROM samples WHERE dataset = ?"
        prompt, completion, latency = connection.execute(query, (dataset,)).fetchone()
    return Usage(Tokens(prompt=prompt or 0, completion=completion or 0), latency)


def content_hash(question: str, target: str) -> str:
    """Return the identity of a question with its answer, across runs, models and sample ids."""
    return hashlib.sha256(f"{question}\x00{target}".encode(errors="replace")).hexdigest()


def _whole(text: str) -> str:
    """Return the text without halves of surrogate pairs: a model that is cut off may end in one."""
    return text.encode(errors="replace").decode()


class SampleLog:
    """The open `samples.db` of a run. One thread writes."""

    def __init__(self, path: Path) -> None:
        # WAL would leave half of the data beside the file that is shipped
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(_TABLE)

    def add(self, sample: Sample) -> None:
        """Write one sample; a later attempt's row replaces an earlier one's."""
        self._connection.execute(
            "INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                sample.dataset,
                sample.subset,
                sample.sample_id,
                sample.group_id,
                content_hash(sample.question, sample.target),
                _whole(sample.question),
                _whole(sample.target),
                _whole(sample.answer),
                None if sample.extracted is None else _whole(sample.extracted),
                json.dumps(sample.scores, ensure_ascii=False),
                sample.prompt_tokens,
                sample.completion_tokens,
                sample.latency,
            ),
        )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
