"""The double and the bot that the scenarios of a file share, where they need no other ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.feishu.control import Feishu
from support.feishu_bot import FeishuBot


@pytest.fixture(scope="module")
def feishu() -> Iterator[Feishu]:
    with Feishu() as feishu:
        feishu.configure(redeliver=[0.5] * 20, ack_within=1.5, has_commands=True)
        yield feishu


@pytest.fixture(scope="module")
def bot(feishu: Feishu, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeishuBot]:
    with FeishuBot(tmp_path_factory.mktemp("bot"), feishu) as bot:
        yield bot
