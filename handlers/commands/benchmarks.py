"""benchmarks: find a benchmark by name, tag or words."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.context import Context
from handlers.intents.parsed import Vocabulary
from handlers.message import Fields, Link, Message, Part, Table, Text
from handlers.refusals import refusal
from handlers.registry import Args, Intent, Words
from handlers.reply import Reply
from handlers.texts import Texts
from jobs.catalog import BenchmarkInfo
from jobs.errors import UnknownBenchmark
from jobs.sample import SAMPLE_DATASETS

SHOWN = 30
"""Rows of a list in a chat; the rest is a narrower question away."""


class BenchmarksArgs(Args):
    """`tags` in EvalScope's spelling, `name` of one benchmark to describe, `query` words to look for."""

    tags: tuple[str, ...] | None = None
    name: str | None = None
    query: str | None = None


async def handle(args: BenchmarksArgs, context: Context) -> Reply:
    """Answer from the catalog: one benchmark by its name, or a list by tags and words."""
    refused = refusal(context)
    if refused is not None:
        return refused
    vocabulary = await context.services.vocabulary()
    catalog, texts = vocabulary.catalog, context.texts
    if args.name is not None:
        return Reply(_describe(args.name, context, vocabulary))
    exact = catalog.find(args.query) if args.query and not args.tags else None
    if exact is not None:
        return Reply(_describe(exact.name, context, vocabulary))
    found = list(catalog.benchmarks) if not args.tags else _tagged(args.tags, context, vocabulary)
    what = ""
    if args.tags:
        what = texts("benchmarks.what.tags", tags=", ".join(args.tags))
    if args.query:
        names = {info.name for info in catalog.search(args.query)}
        found = [info for info in found if info.name in names]
        what += texts("benchmarks.what.query", query=args.query)
    tags = ", ".join(catalog.tags)
    if not found:
        return Reply(Message(text=texts("benchmarks.none", what=what, tags=tags)))
    parts: list[Part] = [_table(found[:SHOWN], texts)]
    if len(found) > SHOWN:
        parts.append(Text(text=texts("benchmarks.shown", shown=SHOWN, count=len(found))))
        parts.append(Text(text=texts("benchmarks.tags", tags=tags)))
    return Reply(Message(text=texts("benchmarks.found", count=len(found), what=what), parts=tuple(parts)))


def _tagged(tags: Sequence[str], context: Context, vocabulary: Vocabulary) -> list[BenchmarkInfo]:
    """Return the benchmarks with all the tags; with any of them where EvalScope's own `--tag` was pasted."""
    if not context.parsed.pasted:
        return vocabulary.catalog.with_tags(tags)
    names = {info.name for tag in tags for info in vocabulary.catalog.with_tags([tag])}
    return [info for info in vocabulary.catalog.benchmarks if info.name in names]


def _describe(name: str, context: Context, vocabulary: Vocabulary) -> Message:
    """Return the facts of one benchmark; raises `UnknownBenchmark`."""
    texts = context.texts
    registered = context.services.config.datasets.get(name)
    if registered is not None:
        return Message(text=f"{name}: {texts('benchmarks.private', benchmark=registered.benchmark)}")
    sample = SAMPLE_DATASETS.get(name)
    if sample is not None:
        return Message(
            text=f"{name}: {texts('benchmarks.private', benchmark=sample.benchmark)}",
            parts=(Fields(items=((texts("benchmarks.field.samples"), str(sample.total)),)),),
        )
    info = vocabulary.catalog.find(name)
    if info is None:
        raise UnknownBenchmark(name=name, nearest=", ".join(vocabulary.catalog.nearest(name)))
    subsets = list(info.subsets)
    shown = ", ".join(subsets[:12]) + (f", … ({len(subsets)})" if len(subsets) > 12 else "")
    fields = {
        "samples": _size(info, texts),
        "subsets": shown,
        "metrics": ", ".join(info.metrics),
        "few_shot": str(info.few_shot_num),
        "tags": ", ".join(info.tags),
        "code": texts("benchmarks.code") if info.runs_code else "",
        "parameters": ", ".join(parameter.name for parameter in info.parameters),
    }
    items = tuple((texts(f"benchmarks.field.{key}"), value) for key, value in fields.items() if value)
    parts: list[Part] = [Fields(items=items)]
    about = info.description_zh if context.language == "zh" and info.description_zh else info.description
    if about:
        parts.insert(0, Text(text=about))
    if info.paper_url:
        parts.append(Link(label=texts("benchmarks.paper"), url=info.paper_url))
    return Message(text=f"{info.pretty_name} ({info.name})", parts=tuple(parts))


def _table(found: Sequence[BenchmarkInfo], texts: Texts) -> Table:
    columns = tuple(texts(f"benchmarks.column.{name}") for name in ("name", "title", "tags", "samples"))
    rows = tuple((b.name, b.pretty_name, ", ".join(b.tags), _size(b, texts)) for b in found)
    return Table(columns=columns, rows=rows, numeric=(columns[3],))


def _size(info: BenchmarkInfo, texts: Texts) -> str:
    return texts("benchmarks.unknown_size") if info.samples is None else f"{info.samples:,}"


INTENT = Intent(
    name="benchmarks",
    args=BenchmarksArgs,
    handle=handle,
    slash=("/benchmarks", "/基准"),
    words=Words(
        en=(
            "benchmarks",
            "which benchmarks",
            "which benchmark",
            "what benchmark",
            "is there a benchmark",
            "any benchmarks",
            "recommend a benchmark",
            "what subsets",
            "how many samples does",
            "what does",
            "list benchmarks",
            "what benchmarks",
            "find a benchmark",
            "what is",
            "what's",
            "tell me about",
            "describe",
            "explain",
            "how big is",
            "how large is",
            "how many questions does",
            "how many questions are in",
            "available datasets",
            "which datasets",
        ),
        zh=(
            "哪些子集",
            "多少题",
            "多少条",
            "有多大",
            "测什么",
            "测的是什么",
            "考什么",
            "什么评测集",
            "什么基准",
            "数据集",
            "有哪些基准",
            "哪些评测集",
            "基准",
            "评测集",
            "数据集有哪些",
            "有什么数据集",
            "介绍一下",
            "是什么",
            "哪些数据集",
        ),
    ),
    positional=("query",),
    examples={
        "en": ("which benchmarks test coding?", "what is gsm8k?"),
        "zh": ("有哪些数学基准？", "介绍一下 gsm8k"),
    },
)
