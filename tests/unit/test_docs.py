"""What the documents name is there: files, settings, commands, and the parts that the code writes."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from bot.cli import main
from bot.settings import BotSettings

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/slack.md", "docs/feishu.md")
VARIABLES = {str(field.validation_alias) for field in BotSettings.model_fields.values()}


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_and_picture_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text_of(name))
    missing = [link for link in links if "://" not in link and not (ROOT / name).parent.joinpath(link).exists()]
    assert missing == []


def test_every_setting_that_the_slack_pages_name_exists() -> None:
    named = set(re.findall(r"\b(?:SLACK|SCOPEBOT)_[A-Z_]+\b", text_of("docs/slack.md")))
    assert named
    assert named <= VARIABLES


def test_every_command_that_the_slack_pages_name_exists() -> None:
    named = set(re.findall(r"(?<![\w/@])scopebot ([a-z]+)", text_of("docs/slack.md")))
    assert {"manifest", "doctor", "serve"} <= named <= set(main.commands)


def test_what_the_code_writes_is_marked_in_some_document() -> None:
    parts = runpy.run_path(str(ROOT / "scripts" / "docs.py"))["PARTS"]
    together = "".join(text_of(name) for name in DOCUMENTS)
    assert [part for part in parts if f"<!-- {part} -->\n" not in together] == []
