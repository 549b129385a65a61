"""help: what Scopebot can do, generated from the registry; what EvalScope's commands and parameters are."""

from __future__ import annotations

import re

from handlers.context import Context
from handlers.intents.flags import COMMANDS
from handlers.message import Log, Message, Part, Table, Text
from handlers.parameters import benchmark_message, command_parts, parameter_message
from handlers.registry import Args, Intent, Words, intents
from handlers.reply import Reply
from jobs.catalog import Catalog, snapshot

ORDER = (
    "eval", "perf", "benchmarks", "status", "results", "diagnose", "logs", "cancel", "resume", "rerun", "presets",
    "save", "forget", "defaults", "dashboard", "headlines", "help",
)  # fmt: skip
"""How help lists the intents: by what a newcomer needs first."""
_EDGES = re.compile(r"^[\s\-—–/`]+|[\s`?？]+$")


class HelpArgs(Args):
    """What help is wanted `about`: an intent, a sub-command or a parameter of EvalScope's, `version`.

    `command` is the sub-command (or the benchmark) whose parameter is meant.
    """

    about: str | None = None
    command: str | None = None


async def handle(args: HelpArgs, context: Context) -> Reply:
    """Answer from the registry and from what the workers published."""
    catalog = (await context.services.vocabulary()).catalog
    about = _EDGES.sub("", args.about or "").lower()
    if about == "version":
        return Reply(await _version(context))
    if args.command is None and (intent := intents().get(about)) is not None:
        return Reply(_about(intent, catalog, context))
    if args.command is None and about in COMMANDS:
        return Reply(_command(about, catalog, context))
    if not about or about == "evalscope":
        return Reply(_everything(context))
    return Reply(_parameter(about, args.command, catalog, context))


def in_order() -> list[Intent]:
    """Return the intents as help lists them."""
    return sorted(intents().values(), key=lambda intent: ORDER.index(intent.name))


def _everything(context: Context) -> Message:
    texts = context.texts
    rows = tuple(
        (context.call(intent), texts(f"help.about.{intent.name}"), intent.examples[texts.language][0])
        for intent in in_order()
    )
    columns = tuple(texts(f"help.column.{name}") for name in ("command", "what", "example"))
    notes = (Text(text=texts("help.pasted")), Text(text=texts("help.not")))
    return Message(text=texts("help.intro"), parts=(Table(columns=columns, rows=rows), *notes))


def _about(intent: Intent, catalog: Catalog, context: Context) -> Message:
    texts = context.texts
    examples = "\n".join(intent.examples[texts.language])
    parts: list[Part] = [Log(title=texts("help.column.example"), text=examples)]
    if intent.args.model_fields:
        fields = ", ".join(name for name in intent.args.model_fields if name not in intent.not_yet)
        parts.insert(0, Text(text=texts("help.fields", fields=fields)))
    if intent.name in COMMANDS:
        parts += command_parts(intent.name, catalog, texts)
    return Message(text=f"{context.call(intent)}: {texts(f'help.about.{intent.name}')}", parts=tuple(parts))


def _command(command: str, catalog: Catalog, context: Context) -> Message:
    """Describe a sub-command of EvalScope's whose intent has another name."""
    texts = context.texts
    intent = intents()[COMMANDS[command]]
    about = texts(f"help.about.{intent.name}")
    return Message(
        text=texts("help.command", command=command, slash=context.call(intent), about=about),
        parts=command_parts(command, catalog, texts),
    )


def _parameter(about: str, command: str | None, catalog: Catalog, context: Context) -> Message:
    texts = context.texts
    named = catalog.parameters_named(about)
    there = [info for info in named if command in {None, info.command}]
    if there:
        return parameter_message(there, texts)
    only = None if command is None or command in COMMANDS else command
    of_benchmarks = None if command in COMMANDS else benchmark_message(about, catalog, texts, only)
    if of_benchmarks is not None:
        return of_benchmarks
    near = ", ".join(catalog.nearest_parameters(about, command if command in COMMANDS else None))
    if named:  # asked of one command, and another has it
        told = parameter_message(named, texts)
        elsewhere = ", ".join(dict.fromkeys(info.command for info in named))
        text = texts("help.elsewhere", name=about, command=command, elsewhere=elsewhere, nearest=near)
        return Message(text=text, parts=(Text(text=told.text), *told.parts))
    everything = _everything(context)
    return Message(text=texts("help.unknown", name=about, nearest=near), parts=everything.parts)


async def _version(context: Context) -> Message:
    texts = context.texts
    workers = await context.services.workers()
    made_for = texts("help.version.made_for", version=snapshot().evalscope_version)
    if not workers:
        return Message(text=made_for, parts=(Text(text=texts("status.no_workers")),))
    versions = ", ".join(sorted({worker["evalscope"] for worker in workers}))
    columns = (texts("result.field.worker"), "EvalScope")
    rows = tuple((worker["name"], worker["evalscope"]) for worker in workers)
    text = texts.count("help.version", len(workers), version=versions)
    return Message(text=text, parts=(Table(columns=columns, rows=rows), Text(text=made_for)))


INTENT = Intent(
    name="help",
    args=HelpArgs,
    handle=handle,
    slash=("/help", "/帮助"),
    words=Words(
        en=(
            "help",
            "what can you do",
            "what can u do",
            "what do you do",
            "what are you abel to",
            "what are you able to",
            "how can you help",
            "what can i ask",
            "how do i",
            "how do you work",
            "usage",
        ),
        zh=(
            "帮助",
            "你能做什么",
            "帮帮我",
            "怎么评测",
            "如何评测",
            "如何使用",
            "怎么用",
            "使用说明",
            "你会什么",
            "帮我做什么",
            "帮帮忙",
            "能做什么",
            "可以做什么",
            "会做什么",
            "有什么功能",
            "有哪些功能",
            "会干啥",
            "能干啥",
            "会啥",
            "能干嘛",
            "干什么的",
            "会干什么",
            "能干什么",
        ),
    ),
    positional=("about",),
    examples={
        "en": ("help", "what can you do?", "what does --sla-num-runs do?"),
        "zh": ("帮助", "你能做什么？", "--sla-num-runs 是什么意思？"),
    },
)
