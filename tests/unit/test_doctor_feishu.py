"""What `scopebot doctor` says of Feishu: each thing that can be wrong, and how to mend it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.feishu.control import Feishu

from bot.cli import main
from bot.doctor import Finding, _feishu_checks, _guarded
from bot.feishu.wanted import SCOPES, missing
from bot.settings import BotSettings


@pytest.fixture(scope="module")
def feishu() -> Iterator[Feishu]:
    with Feishu() as feishu:
        yield feishu


def look(feishu: Feishu, folder: Path, **changes: Any) -> dict[str, Finding]:
    """Look at a bot's settings, changed in some way; return the findings by name."""
    known = {
        "feishu_app_id": feishu.app_id, "feishu_app_secret": feishu.app_secret, "feishu_domain": feishu.domain,
        "data_dir": folder,
    }  # fmt: skip
    settings = BotSettings(**(known | changes))
    return {name: _guarded(name, check, settings) for name, check in _feishu_checks(settings)}


def test_it_says_who_the_bot_is_and_that_messages_come(feishu: Feishu, tmp_path: Path) -> None:
    found = look(feishu, tmp_path)
    assert all(finding.ok for finding in found.values()), found
    assert found["Feishu"].state.startswith("Scopebot, ")
    assert found["Feishu messages"].state == "over the long connection"


def test_what_is_not_set_is_said_and_is_not_wrong(feishu: Feishu, tmp_path: Path) -> None:
    found = look(feishu, tmp_path, feishu_app_id=None, feishu_app_secret=None)
    assert found == {"Feishu": Finding("Feishu", True, "not set")}


@pytest.mark.parametrize("unset", ["feishu_app_id", "feishu_app_secret"])
def test_half_of_the_credentials_is_not_enough(feishu: Feishu, tmp_path: Path, unset: str) -> None:
    found = look(feishu, tmp_path, **{unset: None})["Feishu"]
    assert not found.ok
    assert found.state.startswith(unset.upper())
    assert "凭证与基础信息" in found.remedy


def test_wrong_credentials_are_told_and_not_shown(feishu: Feishu, tmp_path: Path) -> None:
    found = look(feishu, tmp_path, feishu_app_secret="wrong-secret")
    assert [finding.ok for finding in found.values()] == [False, False]
    assert "10014" in found["Feishu"].state
    assert "wrong-secret" not in str(found)


def test_scopes_that_are_missing_are_named(feishu: Feishu, tmp_path: Path) -> None:
    feishu.scopes(remove=["im:resource", "im:message.group_msg"])
    found = look(feishu, tmp_path)["Feishu"]
    feishu.scopes(grant=["im:resource", "im:message.group_msg"])
    assert not found.ok
    assert "im:resource" in found.remedy
    assert "im:message.group_msg" in found.remedy
    assert "权限管理" in found.remedy


def test_a_wider_scope_does_as_well() -> None:
    assert missing(frozenset(SCOPES)) == []
    assert missing(frozenset(SCOPES) - {"im:message:send_as_bot", "im:message:readonly"} | {"im:message"}) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "neither FEISHU_ENCRYPT_KEY"), ({"feishu_encrypt_key": "k"}, "no https address"),
        ({"feishu_encrypt_key": "k", "public_url": "http://bot"}, "no https address"),
        ({"feishu_encrypt_key": "k", "public_url": "https://bot"}, "as requests to https://bot/feishu/events"),
    ],
)  # fmt: skip
def test_requests_need_a_key_and_an_address(feishu: Feishu, tmp_path: Path, changes: Any, said: str) -> None:
    (tmp_path / "scopebot.toml").write_text('[feishu]\nreceive = "webhook"\n', encoding="utf-8")
    found = look(feishu, tmp_path, **changes)["Feishu messages"]
    assert said in found.state
    assert found.ok is ("as requests" in said)


def test_where_feishu_is_not_reached_that_is_said(feishu: Feishu, tmp_path: Path) -> None:
    found = look(feishu, tmp_path, feishu_domain="http://127.0.0.1:9")
    assert [finding.ok for finding in found.values()] == [False, False]
    assert "FEISHU_DOMAIN" in found["Feishu"].remedy


def test_the_scopes_are_printed_as_the_console_imports_them() -> None:
    printed = json.loads(CliRunner().invoke(main, ["manifest", "feishu"]).output)
    assert printed == {"scopes": {"tenant": sorted(SCOPES), "user": []}}
