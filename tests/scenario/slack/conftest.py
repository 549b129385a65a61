"""The double and the bot that the scenarios of a file share, where they need no other ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.slack.control import Slack
from support.slack_bot import SlackBot


@pytest.fixture(scope="module")
def server() -> Iterator[Slack]:
    with Slack() as slack:
        yield slack


@pytest.fixture(scope="module")
def bot(server: Slack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    with SlackBot(tmp_path_factory.mktemp("bot"), server) as bot:
        yield bot
