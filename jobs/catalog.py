"""What can be evaluated: benchmarks with their tags, subsets and sizes, and the parameters of EvalScope's commands.

A snapshot of the pinned EvalScope ships with the package (`catalog_snapshot.json`, facts only, made by
`scripts/snapshot_catalog.py`) for the time before the first worker; each worker publishes its own at start.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, TypeAdapter

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


Kind = Literal["str", "list", "int", "ints", "float", "floats", "json", "pairs", "switch", "on_off"]
"""How EvalScope reads a value: one or several of a type; JSON; `pairs`, JSON or key=value,key=value; `switch`, a flag
that stands alone; `on_off`, one that has a `--no-…` form too."""


class ParameterInfo(Frozen):
    """One parameter of one of EvalScope's commands, as its own parser has it."""

    command: str
    """`eval`, `perf`, `benchmark-info`, `service`, `app`; empty for EvalScope itself."""
    name: str
    """Snake case; `generation_config.top_p` is a key of another parameter's value."""
    flags: tuple[str, ...] = ()
    """How it is given on the command line; none for a positional or a key."""
    kind: Kind = "str"
    default: JsonValue = None
    choices: tuple[str, ...] = ()
    help: str = ""
    """EvalScope's own explanation, which only a worker publishes."""


class BenchmarkParameter(Frozen):
    """One parameter of one benchmark, given in its `dataset_args.extra_params`."""

    name: str
    type: str = ""
    default: JsonValue = None
    choices: tuple[str, ...] = ()
    help: str = ""
    """See `ParameterInfo.help`."""


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
    parameters: tuple[BenchmarkParameter, ...] = ()
    description: str = ""
    description_zh: str = ""

    @property
    def samples(self) -> int | None:
        """Samples in all, None where a subset's size is unknown."""
        return sum(self.subsets.values()) if self.subsets and all(self.subsets.values()) else None


class Catalog(Frozen):
    """All benchmarks and parameters of one EvalScope version."""

    evalscope_version: str
    benchmarks: tuple[BenchmarkInfo, ...]
    parameters: tuple[ParameterInfo, ...] = ()

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

    def nearest(self, said: str, count: int = 3, least: float = 0) -> list[str]:
        """Return the names that come nearest to a misspelt one; `least` is how near they have to be, of 1."""
        return _nearest(said, self.by_name, count, least)

    @property
    def known_parameters(self) -> tuple[ParameterInfo, ...]:
        """The parameters, also where a worker of an older version published none."""
        return self.parameters or snapshot().parameters

    def parameters_named(self, said: str, command: str | None = None) -> list[ParameterInfo]:
        """Return the parameters of that name, with or without what it is a key of, in any spelling."""
        folded = plain(said)
        return [
            info
            for info in self.known_parameters
            if command in {None, info.command} and folded in {plain(info.name), plain(info.name.rpartition(".")[2])}
        ]

    def nearest_parameters(self, said: str, command: str | None = None, count: int = 3) -> list[str]:
        """Return the flags that come nearest to a misspelt one."""
        found = [info for info in self.known_parameters if command in {None, info.command} and info.flags]
        return _nearest(said, dict.fromkeys(info.flags[-1] for info in found if "-no-" not in info.flags[-1]), count)

    def with_tags(self, tags: Iterable[str]) -> list[BenchmarkInfo]:
        """Return the benchmarks that carry every one of `tags`, in any spelling."""
        wanted = {plain(tag) for tag in tags}
        return [b for b in self.benchmarks if wanted <= {plain(tag) for tag in b.tags}]

    def search(self, words: str) -> list[BenchmarkInfo]:
        """Return the benchmarks whose name, tags, category or description contain all the words, names first."""
        needles = words.lower().split()
        hits = [b for b in self.benchmarks if all(needle in self._haystacks[b.name] for needle in needles)]
        return sorted(hits, key=lambda b: (not all(needle in b.name for needle in needles), b.name))


def _nearest(said: str, names: Iterable[str], count: int, least: float = 0) -> list[str]:
    from rapidfuzz import process
    from rapidfuzz.distance import JaroWinkler

    folded = {name: plain(name) for name in names}
    scorer = JaroWinkler.normalized_similarity
    hits = process.extract(plain(said), folded, scorer=scorer, limit=count, score_cutoff=least)
    return [str(name) for _, _, name in hits]


@functools.lru_cache(maxsize=8192)
def plain(said: str) -> str:
    """Fold a name to what all its spellings share: lower case, letters and digits only."""
    return "".join(char for char in said.lower() if char.isalnum())


@functools.cache
def snapshot() -> Catalog:
    """Return the catalog that ships with the package."""
    path = Path(__file__).with_name("catalog_snapshot.json")
    return TypeAdapter(Catalog).validate_json(path.read_bytes())
