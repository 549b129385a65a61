"""What a channel has set: whether a line on each result is posted into it as well."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Engine, String, UniqueConstraint, and_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from jobs.db import Base, reading, transaction


class ChannelRow(Base):
    """A channel that has set something."""

    __tablename__ = "channels"
    __table_args__ = (UniqueConstraint("platform", "channel", name="uq_channels_platform_channel"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    platform: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(String(255))
    headlines: Mapped[bool]


class ChannelSettings:
    """The channels' settings in the database. Every method is one short transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def headlines(self, platform: str, channel: str) -> bool:
        """Tell whether a line on each result is posted into a channel: so it is where nobody set it otherwise."""
        with reading(self._engine) as session:
            found = session.scalar(select(ChannelRow.headlines).where(_at(platform, channel)))
            return found is not False

    def set_headlines(self, platform: str, channel: str, *, on: bool) -> None:
        """Have a line on each result posted into a channel, or not."""
        try:
            self._set(platform, channel, on=on)
        except IntegrityError:  # somebody set it for the first time just now
            self._set(platform, channel, on=on)

    def _set(self, platform: str, channel: str, *, on: bool) -> None:
        with transaction(self._engine) as session:
            if session.scalar(select(ChannelRow.id).where(_at(platform, channel))) is None:
                session.add(ChannelRow(platform=platform, channel=channel, headlines=on))
            else:
                session.execute(update(ChannelRow).where(_at(platform, channel)).values(headlines=on))


def _at(platform: str, channel: str) -> ColumnElement[bool]:
    return and_(ChannelRow.platform == platform, ChannelRow.channel == channel)
