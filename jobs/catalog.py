"""What can be evaluated: benchmarks with their tags, subsets and sizes.

A snapshot of the pinned EvalScope ships with the package (`catalog_snapshot.json`, facts only, made by
`scripts/snapshot_catalog.py`) for the time before the first worker; each worker publishes its own at start.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import Field, TypeAdapter

from jobs.models import Frozen

CLOSED_SAMPLES = frozenset({"browsecomp", "gaia", "gpqa_diamond", "hle", "zerobench"})
"""Benchmarks that are gated, or whose makers ask that no sample be shown in the open."""
CATALOG_KEY = "scopebot:catalog"

SUITES: dict[str, tuple[str, ...]] = {
    "general": ("mmlu", "gsm8k", "bbh", "humaneval", "ifeval"),
    "chinese": ("ceval", "cmmlu", "chinese_simpleqa"),
    "multimodal": ("mmmu", "mm_bench", "math_vista", "mm_star"),
    "sample": ("sample_mcq", "sample_qa"),
}
"""Named sets of benchmarks people can ask for by one word."""


class BenchmarkInfo(Frozen):
    """The facts of one benchmark."""

    name: str
    pretty_name: str
    tags: tuple[str, ...] = ()
    category: str = ""
    subsets: dict[str, int] = Field(default_factory=dict)
    """Subset → samples; 0 where the size is not known."""
    metrics: tuple[str, ...] = ()
    few_shot_num: int = 0
    paper_url: str = ""
    runs_code: bool = False
    """It executes what the model wrote."""
    extra: str = ""
    """The EvalScope extra it needs, empty where none."""
    description: str = ""
    description_zh: str = ""

    @property
    def samples(self) -> int | None:
        """Samples in all, None where a subset's size is unknown."""
        return sum(self.subsets.values()) if self.subsets and all(self.subsets.values()) else None


class Catalog(Frozen):
    """All benchmarks of one EvalScope version."""

    evalscope_version: str
    benchmarks: tuple[BenchmarkInfo, ...]

    @functools.cached_property
    def by_name(self) -> Mapping[str, BenchmarkInfo]:
        """Benchmarks by their exact name."""
        return {benchmark.name: benchmark for benchmark in self.benchmarks}

    @functools.cached_property
    def _by_spelling(self) -> Mapping[str, str]:
        spellings = {plain(b.pretty_name): b.name for b in self.benchmarks}
        return spellings | {plain(b.name): b.name for b in self.benchmarks}

    @functools.cached_property
    def _haystacks(self) -> Mapping[str, str]:
        return {
            b.name: " ".join([b.name, b.pretty_name, *b.tags, b.category, b.description, b.description_zh]).lower()
            for b in self.benchmarks
        }

    @functools.cached_property
    def tags(self) -> tuple[str, ...]:
        """All tags in EvalScope's spelling."""
        return tuple(sorted({tag for benchmark in self.benchmarks for tag in benchmark.tags}))

    def find(self, said: str) -> BenchmarkInfo | None:
        """Return the benchmark by its name, however it is written: GSM-8K, `gsm8k` and "gsm 8k" are one."""
        name = self._by_spelling.get(plain(said))
        return None if name is None else self.by_name[name]

    def nearest(self, said: str, count: int = 3) -> list[str]:
        """Return the names that come nearest to a misspelt one."""
        from rapidfuzz import process
        from rapidfuzz.distance import JaroWinkler

        names = {name: plain(name) for name in self.by_name}
        hits = process.extract(plain(said), names, scorer=JaroWinkler.normalized_similarity, limit=count)
        return [str(name) for _, _, name in hits]

    def with_tags(self, tags: Iterable[str]) -> list[BenchmarkInfo]:
        """Return the benchmarks that carry every one of `tags`, in any spelling."""
        wanted = {plain(tag) for tag in tags}
        return [b for b in self.benchmarks if wanted <= {plain(tag) for tag in b.tags}]

    def search(self, words: str) -> list[BenchmarkInfo]:
        """Return the benchmarks whose name, tags, category or description contain all the words, names first."""
        needles = words.lower().split()
        hits = [b for b in self.benchmarks if all(needle in self._haystacks[b.name] for needle in needles)]
        return sorted(hits, key=lambda b: (not all(needle in b.name for needle in needles), b.name))


def plain(said: str) -> str:
    """Fold a name to what all its spellings share: lower case, letters and digits only."""
    return "".join(char for char in said.lower() if char.isalnum())


@functools.cache
def snapshot() -> Catalog:
    """Return the catalog that ships with the package."""
    path = Path(__file__).with_name("catalog_snapshot.json")
    return TypeAdapter(Catalog).validate_json(path.read_bytes())
