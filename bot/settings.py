"""The bot's own settings, beside those it shares with the workers."""

from __future__ import annotations

from pydantic import Field

from jobs.config import Settings


class BotSettings(Settings):
    """The environment of the bot process."""

    slack_bot_token: str | None = Field(None, validation_alias="SLACK_BOT_TOKEN")
    slack_app_token: str | None = Field(None, validation_alias="SLACK_APP_TOKEN")
    slack_signing_secret: str | None = Field(None, validation_alias="SLACK_SIGNING_SECRET")
    slack_client_id: str | None = Field(None, validation_alias="SLACK_CLIENT_ID")
    slack_client_secret: str | None = Field(None, validation_alias="SLACK_CLIENT_SECRET")
    slack_api_url: str = Field("https://slack.com/api/", validation_alias="SLACK_API_URL")
    feishu_app_id: str | None = Field(None, validation_alias="FEISHU_APP_ID")
    feishu_app_secret: str | None = Field(None, validation_alias="FEISHU_APP_SECRET")
    feishu_encrypt_key: str | None = Field(None, validation_alias="FEISHU_ENCRYPT_KEY")
    feishu_verification_token: str | None = Field(None, validation_alias="FEISHU_VERIFICATION_TOKEN")
    feishu_domain: str = Field(
        "https://open.feishu.cn", validation_alias="FEISHU_DOMAIN", pattern=r"^https?://[^/\s]+$"
    )
    openai_api_key: str | None = Field(None, validation_alias="OPENAI_API_KEY")
    openai_base_url: str | None = Field(None, validation_alias="OPENAI_BASE_URL")
    llm_model: str | None = Field(None, validation_alias="SCOPEBOT_LLM_MODEL")
    host: str = Field("127.0.0.1", validation_alias="SCOPEBOT_HOST")
    port: int = Field(8080, validation_alias="SCOPEBOT_PORT", ge=0, le=65535)
    dashboard_url: str | None = Field(None, validation_alias="SCOPEBOT_DASHBOARD_URL", pattern=r"^https?://\S+$")
    public_url: str | None = Field(None, validation_alias="SCOPEBOT_PUBLIC_URL")

    @property
    def uses_slack(self) -> bool:
        """Slack is configured: for one workspace by its token, or for many by OAuth."""
        return self.slack_bot_token is not None or None not in {self.slack_client_id, self.slack_client_secret}

    @property
    def uses_feishu(self) -> bool:
        """Feishu is configured."""
        return None not in {self.feishu_app_id, self.feishu_app_secret}
