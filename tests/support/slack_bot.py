"""The bot with the Slack double as its workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.bot_process import CONFIG, BotProcess
from support.slack.control import Slack


class SlackBot(BotProcess):
    """The bot's process and its workspace."""

    def __init__(self, folder: Path, slack: Slack, *, workers: int = 0, config: str = CONFIG, **variables: str) -> None:
        self.slack = slack
        tokens = {
            "SLACK_API_URL": slack.api_url, "SLACK_BOT_TOKEN": slack.bot_token(), "SLACK_APP_TOKEN": slack.app_token,
        }  # fmt: skip
        super().__init__(folder, workers=workers, config=config, variables=tokens | variables)

    def connected(self) -> bool:
        """See `BotProcess`; over HTTP, there is no connection to wait for."""
        return "SLACK_APP_TOKEN" not in self._environment or self.slack.sockets() > 0


def ours(slack: Slack, channel: str) -> list[dict[str, Any]]:
    """Return what the bot has posted in a channel."""
    return [message for message in slack.messages(channel) if message.get("bot_id")]
