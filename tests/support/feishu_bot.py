"""The bot with the Feishu double as its tenant."""

from __future__ import annotations

from pathlib import Path

from support.bot_process import CONFIG, BotProcess
from support.feishu.control import Feishu


class FeishuBot(BotProcess):
    """The bot's process and its tenant."""

    def __init__(
        self, folder: Path, feishu: Feishu, *, workers: int = 0, config: str = CONFIG, **variables: str
    ) -> None:
        self.feishu = feishu
        self._webhook = 'receive = "webhook"' in config
        own = {
            "FEISHU_DOMAIN": feishu.domain, "FEISHU_APP_ID": feishu.app_id, "FEISHU_APP_SECRET": feishu.app_secret,
        }  # fmt: skip
        super().__init__(folder, workers=workers, config=config, variables=own | variables)

    def connected(self) -> bool:
        """See `BotProcess`; with requests, there is no connection to wait for."""
        return self._webhook or self.feishu.sockets() > 0
