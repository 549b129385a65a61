"""What a form offers where benchmarks are looked up as one types: the best first. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable

from handlers.forms import MOST_OPTIONS, Option
from handlers.intents.clean import clean
from handlers.intents.lexicon import SUITE_WORDS, TAGS
from handlers.intents.names import dataset_name
from handlers.intents.parsed import Vocabulary
from handlers.perf_plan import FILES
from handlers.texts import Texts
from jobs.catalog import SUITES, BenchmarkInfo, plain
from jobs.config import Config
from jobs.sample import SAMPLE_DATASETS

WELL_KNOWN = (
    "gsm8k", "mmlu", "mmlu_pro", "ceval", "cmmlu", "gpqa_diamond", "math_500", "aime25", "ifeval", "humaneval",
    "live_code_bench", "bbh", "arc", "hellaswag", "truthful_qa", "simple_qa", "chinese_simpleqa", "mmmu", "math_vista",
)  # fmt: skip
"""The benchmarks that people ask for most, which come first where nothing tells them apart."""
MISSPELT = 0.85
"""How near to a name, of 1, letters have to be to be that name misspelt."""


def benchmark_options(query: str, vocabulary: Vocabulary, texts: Texts, config: Config | None = None) -> list[Option]:
    """Return the benchmarks, suites and registered data sets that a few letters or words mean, best first.

    With the `config`, what is registered as prompts of stress tests is left out.
    """
    said = clean(query[:100]).lower()
    own, found = _own_options(vocabulary, texts, config or Config()), _lookup(said, vocabulary)
    wanted = plain(said)
    suites = {suite for suite, pattern in SUITE_WORDS if said and pattern.search(f"{said}评测集")}
    named = [option for option in own if option[0] in suites or (wanted in plain(option[0]) and (wanted or not said))]
    named.sort(key=lambda option: plain(option[0]) != wanted)
    benchmarks = [(info.name, _benchmark_label(info, texts)) for info in found]
    described = [option for option in own if said in option[1].lower()]
    options: dict[str, str] = {}
    for value, label in (*named, *benchmarks, *described):
        options.setdefault(value, label)
    return list(options.items())[:MOST_OPTIONS]


def _own_options(vocabulary: Vocabulary, texts: Texts, config: Config) -> list[Option]:
    """Return what is registered, the suites, and the samples."""
    prompts = {name for name, entry in config.datasets.items() if entry.benchmark in FILES}
    registered = sorted(vocabulary.datasets - SAMPLE_DATASETS.keys() - prompts)
    return [
        *((name, texts("forms.option.registered", name=name)) for name in registered),
        *(
            (name, texts("forms.option.suite", name=name, members=", ".join(members)))
            for name, members in SUITES.items()
        ),
        *(
            (name, texts("forms.option.sample", name=name, total=sample.total))
            for name, sample in SAMPLE_DATASETS.items()
            if name in vocabulary.datasets
        ),
    ]


def _lookup(said: str, vocabulary: Vocabulary) -> list[BenchmarkInfo]:
    """Return benchmarks by name, by a name's beginning, by words, then by subject; all where nothing is said."""
    catalog = vocabulary.catalog
    if not said:
        return sorted(catalog.benchmarks, key=_well_known)
    exact = catalog.by_name.get(dataset_name(said, vocabulary) or "")
    folded = plain(said)
    words = sorted(
        catalog.search(said),
        key=lambda b: (not plain(b.name).startswith(folded), folded not in plain(b.name), _well_known(b)),
    )
    tags = [tag for tag, pattern in TAGS if pattern.search(said)]
    tagged: Iterable[BenchmarkInfo] = sorted(catalog.with_tags(tags), key=_well_known) if tags else ()
    found = [*([exact] if exact else []), *words, *tagged]
    return found or [catalog.by_name[name] for name in catalog.nearest(said, 5, MISSPELT) if len(said) > 2]


def _well_known(info: BenchmarkInfo) -> tuple[int, str]:
    return (WELL_KNOWN.index(info.name) if info.name in WELL_KNOWN else len(WELL_KNOWN), info.name)


def _benchmark_label(info: BenchmarkInfo, texts: Texts) -> str:
    title = "" if plain(info.pretty_name) == plain(info.name) else f" – {info.pretty_name}"
    size = "" if info.samples is None else texts("forms.option.samples", total=info.samples)
    return f"{info.name}{title}{size}"
