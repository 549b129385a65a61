"""Models and benchmarks in a sentence: registered names, the catalog's, suites, and what looks like a name."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from handlers.intents.lexicon import ALIASES, FAMILIES, FLAGS, MODELISH, ORDINARY, SUITE_WORDS, URL
from handlers.intents.parsed import Vocabulary
from jobs.catalog import SUITES, plain

Kind = Literal["model", "dataset"]

MARKS: dict[Kind, str] = {"model": "\x01", "dataset": "\x02"}
"""What stands for a name in a masked sentence, once per character."""

_TOKEN = re.compile(r"[A-Za-z0-9τ](?:[\w+*'²³\-]|[./:](?=\w))*", FLAGS)
_PATH = re.compile(r"(?<![\w:/.\-@])\.{0,2}/[\w.\-]+(?:/[\w.\-]+)+", FLAGS)
_MOCK = re.compile(r"(?<![\w\-])mock(?:[_\s-]?(?:llm|model))?(?![\w\-])|模拟模型|假模型", FLAGS)
_LISTING = re.compile(r"\b(?:which|what|list|find|available)\b|哪些|什么|有没有|查找|列出", FLAGS)
_UNIT = re.compile(
    r"\s*-?(?:random\s+|test\s+)?(?:samples?|questions?|examples?|problems?|items?|shots?|times|%|条|题|个|道|样本)",
    FLAGS,
)
_EXPECTED = re.compile(
    r"(?:(?<![\w\-])(?:on|and|run|with|against|benchmarks?|datasets?|about|is|half\s+of|quarter\s+of)|%\s*of|[,、:和与及用在跑测的]|基准|数据集|\x02|介绍一下)\s*$",
    FLAGS,
)
_NOT = re.compile(
    r"(?:(?<![\w\-])(?:not|no|without|except(?:\s+for)?|excluding|exclude|skip|skipping|minus|instead\s+of|rather\s+than|"
    r"don'?t\s+(?:run|use|include|test)|leave\s+out)(?:\s+(?:the|on|with|using|run))*|"
    r"(?:不要|不跑|不用|别跑|别用|别|除了|除去|去掉|排除|不是|不含|不包括|跳过|不测|而非)(?:跑|测|用|评测|在)?)\s*$",
    FLAGS,
)
_LEFT_ALONE = re.compile(r"\s+(?:alone|out|aside)\b", FLAGS)
_ALSO = re.compile(r"\s*(?:(?:,\s*)?(?:and|or|nor)|和|或|、|及|与)\s*", FLAGS)
_CORRECTED = re.compile(
    r"\b(?:no,?\s*wait|wait|sorry|scratch\s+that|i\s+mean(?:t)?|make\s+(?:it|that)|or\s+rather|correction)\b|不对|改成|换成|应该是|说错了|不不",
    FLAGS,
)


@dataclass(frozen=True)
class Mention:
    """A name where it stands. `values`: one canonical name, or those of a suite."""

    kind: Kind
    values: tuple[str, ...]
    start: int
    end: int


def dataset_names(said: str, vocabulary: Vocabulary) -> list[str]:
    """Return the canonical name of one benchmark, the members of a suite, or the word as it was said."""
    word = said.strip()
    if word.lower() in SUITES:
        return list(SUITES[word.lower()])
    return [dataset_name(word, vocabulary) or word] if word else []


def mentions(text: str, vocabulary: Vocabulary) -> list[Mention]:
    """Return every model and benchmark that is known or looks like one, in order, none overlapping."""
    found: list[Mention] = []
    taken = bytearray(len(text))

    def take(kind: Kind, values: Iterable[str], start: int, end: int) -> None:
        if start < end and not any(taken[start:end]):
            taken[start:end] = b"\1" * (end - start)
            found.append(Mention(kind, tuple(values), start, end))

    for match in URL.finditer(text):
        taken[match.start() : match.end()] = b"\1" * len(match[0])
    for kind, values, match in _by_pattern(text, vocabulary):
        take(kind, values, *match.span())
    tokens = [match.span() for match in _TOKEN.finditer(text)]
    place = 0
    while place < len(tokens):
        width = _take_benchmark(text, tokens[place : place + 4], vocabulary, take)
        if not width:
            start, end = tokens[place]
            word = text[start:end].rstrip("'+*")
            if FAMILIES.fullmatch(word) or MODELISH.fullmatch(word):
                take("model", [word], start, start + len(word))
        place += max(width, 1)
    return sorted(found, key=lambda mention: mention.start)


def _by_pattern(text: str, vocabulary: Vocabulary) -> Iterator[tuple[Kind, tuple[str, ...], re.Match[str]]]:
    """Find registered names, suites, the mock model and checkpoints' paths."""
    registered: tuple[tuple[Kind, frozenset[str]], ...] = (
        ("dataset", vocabulary.datasets),
        ("model", vocabulary.models),
    )
    for kind, names in registered:
        spelt = {name.casefold(): name for name in names}
        for match in _registered(names).finditer(text):
            yield kind, (spelt.get(match[0].casefold(), match[0]),), match
    if not _LISTING.search(text):
        for suite, pattern in SUITE_WORDS:
            for match in pattern.finditer(text):
                yield "dataset", SUITES[suite], match
    for match in _chinese_aliases().finditer(text):
        yield "dataset", (ALIASES[match[0].lower()],), match
    for match in _MOCK.finditer(text):
        yield "model", ("mock_llm",), match
    for match in _PATH.finditer(text):
        yield "model", (match[0],), match


def wanted(text: str, found: list[Mention]) -> list[Mention]:
    """Return `found` without what is said not to be meant: "not humaneval", "mmlu, no wait, ceval"."""
    kept: list[Mention] = []
    dropped: set[str] = set()
    denied = False
    for place, mention in enumerate(found):
        before = text[max(0, mention.start - 40) : mention.start]
        gap = text[found[place - 1].end : mention.start] if place else None
        denied = (
            bool(_NOT.search(before))
            or bool(_LEFT_ALONE.match(text, mention.end))
            or (denied and gap is not None and bool(_ALSO.fullmatch(gap)))
        )
        if denied:
            dropped |= set(mention.values)
            continue
        same = bool(kept) and kept[-1].kind == mention.kind
        if same and gap is not None and len(gap) <= 40 and _CORRECTED.search(gap):
            kept.pop()
        kept.append(mention)
    left = ((mention, tuple(value for value in mention.values if value not in dropped)) for mention in kept)
    return [replace(mention, values=values) for mention, values in left if values]


def mask(text: str, found: Iterable[Mention]) -> str:
    """Return `text` with every mention replaced by marks, same length."""
    chars = list(text)
    for mention in found:
        chars[mention.start : mention.end] = MARKS[mention.kind] * (mention.end - mention.start)
    return "".join(chars)


@functools.lru_cache(maxsize=64)
def _registered(names: frozenset[str]) -> re.Pattern[str]:
    longest = sorted((name for name in names if name), key=len, reverse=True)
    if not longest:
        return re.compile(r"(?!)")
    return re.compile(rf"(?<![\w\-./])(?:{'|'.join(map(re.escape, longest))})(?![\w\-]|[./:]\w)", FLAGS)


def _take_benchmark(
    text: str, tokens: list[tuple[int, int]], vocabulary: Vocabulary, take: Callable[[Kind, list[str], int, int], None]
) -> int:
    """Take the longest run of tokens that names a benchmark ("MMLU Pro" is one); return how many tokens it has."""
    for width in range(_joined(text, tokens), 0, -1):
        start, end = tokens[0][0], tokens[width - 1][1]
        said = text[start:end].rstrip("'*")
        said = said.removesuffix("'s")
        counted = width > 1 and said.rpartition(" ")[2].isdecimal() and _UNIT.match(text, end)
        name = None if counted else dataset_name(said, vocabulary)
        if name is not None and (name not in ORDINARY or said.isupper() or _EXPECTED.search(text[:start][-24:])):
            take("dataset", [name], start, end)
            return width
    start, end = tokens[0]
    if head := _head(text[start:end], vocabulary):
        take("dataset", [head[1]], start, start + len(head[0]))
        return 1
    return 0


def _head(token: str, vocabulary: Vocabulary) -> tuple[str, str] | None:
    """Split mmlu:anatomy and ARC-Challenge, a benchmark and its subset; return the first part and its name."""
    for sign in ":-/":
        said, _, rest = token.partition(sign)
        info = vocabulary.catalog.find(said) if rest else None
        if info is not None and (sign == ":" or any(plain(subset).endswith(plain(rest)) for subset in info.subsets)):
            return said, info.name
    return None


def _joined(text: str, tokens: list[tuple[int, int]]) -> int:
    """Count the tokens that only blanks hold apart."""
    width = 1
    while width < len(tokens) and text[tokens[width - 1][1] : tokens[width][0]].isspace():
        width += 1
    return min(width, len(tokens))


@functools.cache
def _fixed_spellings() -> dict[str, str]:
    return {plain(name): name for members in SUITES.values() for name in members} | dict(ALIASES)


@functools.cache
def _chinese_aliases() -> re.Pattern[str]:
    """Return the pattern of benchmarks' Chinese names, which no blanks set apart."""
    names = [name for name in ALIASES if re.search(r"[\u4e00-\u9fff]", name)]
    return re.compile("|".join(sorted(map(re.escape, names), key=len, reverse=True)), FLAGS)


def dataset_name(said: str, vocabulary: Vocabulary) -> str | None:
    """Return the name of a registered data set or a benchmark however it is written, None if it is none."""
    if said in vocabulary.datasets:
        return said
    if "+" in said and (plus := ALIASES.get(f"{plain(said)}+")):
        return plus
    benchmark = vocabulary.catalog.find(said)
    return _fixed_spellings().get(plain(said)) if benchmark is None else benchmark.name
