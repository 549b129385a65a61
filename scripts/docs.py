"""Write the parts of the documents that are generated from the code; --check only compares.

Each stands between `<!-- NAME -->` and `<!-- /NAME -->`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable
from pathlib import Path

from bot.feishu import wanted
from bot.settings import BotSettings
from bot.slack import manifest
from handlers.commands.help import in_order
from handlers.texts import Texts

ROOT = Path(__file__).parents[1]
PICTURES = {
    "question": "A plan, and the question before it starts",
    "status": "A run on its way, in its status message",
    "result": "The result in the thread",
    "comparison": "Two models compared",
    "stress_test": "A stress test",
    "home": "The bot's home",
}
FILES = ("README.md", "CONTRIBUTING.md", "docs/slack.md", "docs/feishu.md")


def main() -> int:
    """Write, or compare."""
    stale = []
    for name in FILES:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        fresh = generate(text)
        if fresh == text:
            continue
        if "--check" in sys.argv:
            stale.append(name)
        else:
            path.write_text(fresh, encoding="utf-8")
    if stale:
        print(f"{', '.join(stale)}: not what the code says; run scripts/docs.py")
    return 1 if stale else 0


def generate(text: str) -> str:
    """Return the text with its generated parts written anew."""
    for name, write in PARTS.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = pattern.sub(lambda found, write=write: f"{found[1]}{write()}\n{found[2]}", text)  # type: ignore[misc]
    return text


def commands() -> str:
    """Return what people can ask for, from the registry."""
    texts = Texts("en")
    rows = []
    for intent in in_order():
        cells = (
            f"`{intent.slash[0]}`",
            texts(f"help.about.{intent.name}"),
            *(intent.examples[x][0] for x in ("en", "zh")),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(["| command | what it does | in English | 用中文 |", "| --- | --- | --- | --- |", *rows])


def settings() -> str:
    """Return the environment variables, from the settings."""
    rows = []
    for field in BotSettings.model_fields.values():
        default = "" if field.default is None else f"`{field.default}`"
        rows.append(f"| `{field.validation_alias}` | {default} |")
    return "\n".join(["| variable | default |", "| --- | --- |", *rows])


def code_map() -> str:
    """Return each module with the first line of its docstring."""
    rows = []
    for package in ("bot", "handlers", "jobs"):
        for path in sorted((ROOT / package).rglob("*.py")):
            about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            name = path.relative_to(ROOT).as_posix().removesuffix("/__init__.py")
            if about and "versions/" not in name:
                rows.append(f"| `{name}` | {about.splitlines()[0]} |")
    return "\n".join(["| module | what it is about |", "| --- | --- |", *rows])


def slack_commands() -> str:
    """Return how each intent is called on Slack, from the app's manifest."""
    texts = Texts("en")
    rows = [f"| `{manifest.call_of(intent)}` | {texts(f'help.about.{intent.name}')} |" for intent in in_order()]
    return "\n".join(["| command | what it does |", "| --- | --- |", *rows])


def slack_scopes() -> str:
    """Return what the app may do on Slack, and why."""
    return _table("scope", "what for", {**manifest.SCOPES, **manifest.LINK_SCOPES})


def slack_events() -> str:
    """Return what the app hears of on Slack."""
    return _table("event", "when", {**manifest.EVENTS, **manifest.LINK_EVENTS})


def slack_pictures() -> str:
    """Return the pictures that there are of conversations on Slack."""
    there = [(name, about) for name, about in PICTURES.items() if (ROOT / "docs" / "slack" / f"{name}.png").exists()]
    return "\n\n".join(f"![{about}](slack/{name}.png)" for name, about in there)


def feishu_commands() -> str:
    """Return how each intent is called on Feishu, in both languages."""
    english, chinese = Texts("en"), Texts("zh")
    rows = [
        f"| {' '.join(f'`{slash}`' for slash in intent.slash)} | {english(about)} | {chinese(about)} |"
        for intent in in_order()
        if (about := f"help.about.{intent.name}")
    ]
    return "\n".join(["| command | what it does | 作用 |", "| --- | --- | --- |", *rows])


def feishu_scopes() -> str:
    """Return what the app may do on Feishu, and why."""
    return _table("scope", "what for", {**wanted.SCOPES, **wanted.OPTIONAL_SCOPES})


def feishu_events() -> str:
    """Return what the app hears of on Feishu."""
    return _table("event", "when", {**wanted.EVENTS, **wanted.CALLBACKS})


def _table(left: str, right: str, rows: dict[str, str]) -> str:
    lines = [f"| `{name}` | {about} |" for name, about in rows.items()]
    return "\n".join([f"| {left} | {right} |", "| --- | --- |", *lines])


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "settings": settings,
    "map": code_map,
    "slack-commands": slack_commands,
    "slack-scopes": slack_scopes,
    "slack-events": slack_events,
    "slack-pictures": slack_pictures,
    "feishu-commands": feishu_commands,
    "feishu-scopes": feishu_scopes,
    "feishu-events": feishu_events,
}


if __name__ == "__main__":
    sys.exit(main())
