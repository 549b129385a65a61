"""The workspaces that installed the app, and the token of each: one row a workspace.

Tokens stand in the database as Slack gave them: who may read the database may speak as the bot.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from slack_sdk.oauth.installation_store import Bot, Installation
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from sqlalchemy import String, Text, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from jobs.db import Base, reading, transaction
from jobs.models import Frozen

if TYPE_CHECKING:
    from sqlalchemy import Engine


class InstallationRow(Base):
    """One workspace; `installation` is `_Kept` as JSON."""

    __tablename__ = "slack_installations"

    id: Mapped[int] = mapped_column(primary_key=True)
    team: Mapped[str] = mapped_column(String(32), unique=True)
    installation: Mapped[str] = mapped_column(Text)
    installed_at: Mapped[datetime]


class _Kept(Frozen):
    """What is needed to speak in a workspace; who installed the app is not, and no person's token is asked for."""

    bot_token: str
    bot_id: str
    bot_user_id: str
    bot_scopes: tuple[str, ...] = ()
    app_id: str | None = None
    team_id: str | None = None
    team_name: str | None = None
    enterprise_id: str | None = None
    is_enterprise_install: bool = False
    installed_at: float
    """Seconds since the epoch."""

    def bot(self) -> Bot:
        """Return it as the SDK knows it."""
        return Bot(**self.model_dump())

    def whole(self) -> Installation:
        """Return it as the SDK knows it; it belongs to nobody in particular."""
        return Installation(**self.model_dump(), user_id="")


class Installations(AsyncInstallationStore):
    """The installed workspaces. Database work is done in threads; saving again replaces."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def logger(self) -> logging.Logger:
        """Where the SDK logs."""
        return logging.getLogger(__name__)

    def teams(self) -> tuple[str, ...]:
        """Return the ids of all workspaces (or organizations) that have the app, by when they installed it."""
        with reading(self._engine) as session:
            chosen = select(InstallationRow.team).order_by(InstallationRow.installed_at, InstallationRow.id)
            return tuple(session.execute(chosen).scalars())

    async def async_save(self, installation: Installation) -> None:
        """Keep a workspace's installation. Raises `ValueError` for one without a bot."""
        await self.async_save_bot(installation.to_bot())

    async def async_save_bot(self, bot: Bot) -> None:
        """Keep a workspace's bot. Raises `ValueError` for one without a token."""
        team = _key(bot.enterprise_id, bot.team_id, org_wide=bot.is_enterprise_install)
        if team is None or not bot.bot_token:
            raise ValueError("an installation without a bot, or of no workspace")
        await asyncio.to_thread(self._save, team, bot)

    async def async_find_bot(
        self, *, enterprise_id: str | None, team_id: str | None, is_enterprise_install: bool | None = False
    ) -> Bot | None:
        """Return a workspace's bot, None where the app is not installed."""
        kept = await self._find(_key(enterprise_id, team_id, org_wide=bool(is_enterprise_install)))
        return None if kept is None else kept.bot()

    async def async_find_installation(
        self,
        *,
        enterprise_id: str | None,
        team_id: str | None,
        user_id: str | None = None,  # noqa: ARG002 - a workspace has one installation, whoever asks
        is_enterprise_install: bool | None = False,
    ) -> Installation | None:
        """Return a workspace's installation, None where the app is not installed."""
        kept = await self._find(_key(enterprise_id, team_id, org_wide=bool(is_enterprise_install)))
        return None if kept is None else kept.whole()

    async def async_delete_bot(self, *, enterprise_id: str | None, team_id: str | None) -> None:
        """Forget a workspace."""
        team = _key(enterprise_id, team_id, org_wide=False)
        if team is not None:
            await asyncio.to_thread(self._delete, team)

    async def async_delete_installation(
        self, *, enterprise_id: str | None, team_id: str | None, user_id: str | None = None
    ) -> None:
        """Forget a workspace. With `user_id` a person's token is revoked: none is kept, and the bot stays."""
        if user_id is None:
            await self.async_delete_bot(enterprise_id=enterprise_id, team_id=team_id)

    async def async_delete_all(self, *, enterprise_id: str | None, team_id: str | None) -> None:
        """Forget a workspace."""
        await self.async_delete_bot(enterprise_id=enterprise_id, team_id=team_id)

    async def _find(self, team: str | None) -> _Kept | None:
        return None if team is None else await asyncio.to_thread(self._read, team)

    def _read(self, team: str) -> _Kept | None:
        with reading(self._engine) as session:
            text = session.execute(
                select(InstallationRow.installation).where(InstallationRow.team == team)
            ).scalar_one_or_none()
        return None if text is None else _Kept.model_validate_json(text)

    def _save(self, team: str, bot: Bot) -> None:
        kept = _Kept(**{name: getattr(bot, name) for name in _Kept.model_fields})
        values = {
            "installation": kept.model_dump_json(),
            "installed_at": datetime.fromtimestamp(kept.installed_at, UTC),
        }
        again = update(InstallationRow).where(InstallationRow.team == team).values(**values)
        with transaction(self._engine) as session:
            if session.execute(again.returning(InstallationRow.id)).first() is not None:
                return
        try:
            with transaction(self._engine) as session:
                session.add(InstallationRow(team=team, **values))
        except IntegrityError:  # another process was faster
            with transaction(self._engine) as session:
                session.execute(again)

    def _delete(self, team: str) -> None:
        with transaction(self._engine) as session:
            session.execute(delete(InstallationRow).where(InstallationRow.team == team))


def _key(enterprise_id: str | None, team_id: str | None, *, org_wide: bool) -> str | None:
    """Return what an installation is known by: its workspace, or its organization where all of it installed the app."""
    return enterprise_id or team_id if org_wide else team_id or enterprise_id
