"""What a channel has set: whether results are also told in it, and the model and limit that it means by default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, Float, String, UniqueConstraint, and_, select, update
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
    default_model: Mapped[str | None] = mapped_column(String(255))
    default_limit: Mapped[float | None] = mapped_column(Float)


@dataclass(frozen=True)
class ChannelDefaults:
    """The model and the number of samples (a fraction below 1) that a channel means where a request says none."""

    model: str | None = None
    limit: float | None = None


class ChannelSettings:
    """The channels' settings in the database. Every method is one short transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def headlines(self, platform: str, channel: str) -> bool:
        """Tell whether a line on each result is posted into a channel: so it is where nobody set it otherwise."""
        with reading(self._engine) as session:
            found = session.scalar(select(ChannelRow.headlines).where(_at(platform, channel)))
            return found is not False

    def defaults(self, platform: str, channel: str) -> ChannelDefaults:
        """Return a channel's own defaults; none where nobody set any."""
        with reading(self._engine) as session:
            row = session.scalar(select(ChannelRow).where(_at(platform, channel)))
            return ChannelDefaults() if row is None else ChannelDefaults(row.default_model, row.default_limit)

    def set_headlines(self, platform: str, channel: str, *, on: bool) -> None:
        """Have a line on each result posted into a channel, or not."""
        self._set(platform, channel, {"headlines": on})

    def set_defaults(self, platform: str, channel: str, changes: Mapping[str, str | float | None]) -> None:
        """Set what a channel means by default: `model`, `limit`, or both; what is not named stays as others set it."""
        self._set(platform, channel, {f"default_{name}": value for name, value in changes.items()})

    def _set(self, platform: str, channel: str, values: dict[str, Any]) -> None:
        try:
            self._put(platform, channel, values)
        except IntegrityError:  # somebody set something for the first time just now
            self._put(platform, channel, values)

    def _put(self, platform: str, channel: str, values: dict[str, Any]) -> None:
        with transaction(self._engine) as session:
            if session.scalar(select(ChannelRow.id).where(_at(platform, channel))) is None:
                session.add(ChannelRow(platform=platform, channel=channel, **({"headlines": True} | values)))
            else:
                session.execute(update(ChannelRow).where(_at(platform, channel)).values(**values))


def _at(platform: str, channel: str) -> ColumnElement[bool]:
    return and_(ChannelRow.platform == platform, ChannelRow.channel == channel)
