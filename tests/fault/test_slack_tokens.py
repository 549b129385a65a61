"""A token that Slack takes away loses nothing: what is due waits, without asking again and again, for a good one."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.oauth.installation_store import Bot as InstalledBot
from support.slack.control import Slack
from support.slack_bot import SlackBot

from bot.slack.installations import Installations
from jobs.lease import lease_key
from jobs.lifecycle import RunState
from jobs.models import Run

pytestmark = [pytest.mark.fault, pytest.mark.slow]


def ours(slack: Slack, channel: str = "general") -> list[dict[str, Any]]:
    return [message for message in slack.messages(channel) if message.get("bot_id")]


def running(slack: Slack, bot: SlackBot) -> Run:
    """Have somebody ask for a run, which begins."""
    slack.mention("ann", "general", "evaluate prod on gsm8k, 20 samples")
    bot.until(lambda: ours(slack), 10, "a status message")
    (run,) = bot.runs()
    bot.begin(run)
    with bot.redis() as redis:
        redis.set(lease_key(run.id), 1)
    return run


def end_while_it_is_refused(*where: tuple[Slack, SlackBot, Run, int]) -> None:
    """End a run in each workspace, which refuses the token, and see that only so many calls are made for it."""
    for slack, bot, run, _ in where:
        slack.forget()
        bot.progress(run, 7, 20)
    logged = [len(bot.log) for _, bot, *_ in where]
    time.sleep(1)
    for _, bot, run, _ in where:
        bot.store.move(run.id, RunState.FAILED)
    time.sleep(7)
    for (slack, bot, _, calls), before in zip(where, logged, strict=True):
        refused = [call["method"] for call in slack.calls() if call["method"] != "apps.connections.open"]
        assert len(refused) <= calls, refused
        assert bot.log.count("\n", before) < 40
        assert len(ours(slack)) == 1


def told(slack: Slack, bot: SlackBot, within: float) -> None:
    """Wait until all is told that was due."""
    bot.until(lambda: len(ours(slack)) == 3, within, "the result and its headline")
    status = ours(slack)[0]["ts"]
    bot.until(lambda: "failed" in slack.rendered_text(slack.message("general", status)), 65, "the final state")
    assert len(ours(slack)) == 3


def install(bot: SlackBot, slack: Slack) -> None:
    """Keep the installation, as somebody's visit of the install link does."""
    installed = InstalledBot(
        bot_token=slack.bot_token(), bot_id="B1", bot_user_id=slack.bot_user(), team_id=slack.team_id(),
        installed_at=datetime.now(UTC).timestamp(),
    )  # fmt: skip
    asyncio.run(Installations(bot.engine).async_save_bot(installed))


def test_a_workspace_that_is_installed_again_is_told_what_was_due(tmp_path: Path) -> None:
    """Two at once, each with a bot of its own: one hears that its token was revoked, and one does not."""
    with ExitStack() as stack:
        where = []
        for hears in (True, False):
            slack = stack.enter_context(Slack())
            oauth = {"SLACK_CLIENT_ID": slack.client_id, "SLACK_CLIENT_SECRET": slack.client_secret}
            bot = stack.enter_context(SlackBot(tmp_path / f"{hears}", slack, SLACK_BOT_TOKEN="", **oauth))
            install(bot, slack)
            run = running(slack, bot)
            slack.subscribe(["app_mention", "tokens_revoked"] if hears else ["app_mention"])
            slack.revoke()
            where.append((slack, bot, run, 0 if hears else 1))
        end_while_it_is_refused(*where)
        assert "a workspace removed the app" in where[0][1].log
        assert "install the app again" in where[1][1].log
        for slack, bot, *_ in where:
            slack.reinstall()
            install(bot, slack)
        for slack, bot, *_ in where:
            told(slack, bot, within=25)
            assert not slack.violations()


def test_a_workspace_whose_token_is_replaced_is_told_what_was_due_after_a_restart(tmp_path: Path) -> None:
    with Slack() as slack, SlackBot(tmp_path, slack) as bot:
        run = running(slack, bot)
        slack.revoke()
        end_while_it_is_refused((slack, bot, run, 1))
        assert "install the app again" in bot.log
        bot.stop()
        bot.start(connects=False)
        bot.until(lambda: "does not let the bot in; see `scopebot doctor`" in bot.log, 20, "a word on what is wrong")
        bot.stop()
        slack.reinstall()
        bot._environment["SLACK_BOT_TOKEN"] = slack.bot_token()
        bot.start()
        told(slack, bot, within=10)
