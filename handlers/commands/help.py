"""help: what Scopebot can do, generated from the registry."""

from __future__ import annotations

from handlers.context import Context
from handlers.message import Log, Message, Table, Text
from handlers.registry import Args, Intent, Words, intents
from handlers.reply import Reply
from handlers.texts import Texts

ORDER = ("eval", "perf", "benchmarks", "status", "results", "logs", "cancel", "resume", "rerun", "help")
"""How help lists the intents: by what a newcomer needs first."""


class HelpArgs(Args):
    """What help is wanted `about`: an intent's name or a parameter."""

    about: str | None = None


async def handle(args: HelpArgs, context: Context) -> Reply:
    """Answer from the registry."""
    texts, known = context.texts, intents()
    about = known.get((args.about or "").lower().lstrip("/"))
    if about is not None:
        return Reply(_about(about, texts))
    rows = tuple(
        (intent.slash[0], texts(f"help.about.{intent.name}"), intent.examples[texts.language][0])
        for intent in sorted(known.values(), key=lambda intent: ORDER.index(intent.name))
    )
    columns = tuple(texts(f"help.column.{name}") for name in ("command", "what", "example"))
    commands = ", ".join(row[0] for row in rows)
    notes = (Text(text=texts("help.slash", commands=commands)), Text(text=texts("help.not")))
    return Reply(Message(text=texts("help.intro"), parts=(Table(columns=columns, rows=rows), *notes)))


def _about(intent: Intent, texts: Texts) -> Message:
    fields = ", ".join(intent.args.model_fields)
    examples = "\n".join(intent.examples[texts.language])
    return Message(
        text=f"{intent.slash[0]}: {texts(f'help.about.{intent.name}')}",
        parts=(
            Text(text=texts("help.fields", fields=fields)),
            Log(title=texts("help.column.example"), text=examples),
        ),
    )


INTENT = Intent(
    name="help",
    args=HelpArgs,
    handle=handle,
    slash=("/help", "/帮助"),
    words=Words(
        en=("help", "what can you do", "how do i", "how do you work", "usage", "hello", "hi"),
        zh=(
            "帮助",
            "你能做什么",
            "帮帮我",
            "怎么评测",
            "如何评测",
            "如何使用",
            "怎么用",
            "使用说明",
            "你好",
            "你会什么",
        ),
    ),
    positional=("about",),
    examples={"en": ("help", "what can you do?"), "zh": ("帮助", "你能做什么？")},
)
