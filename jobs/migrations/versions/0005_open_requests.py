"""Requests that lack one thing, which was asked for."""

import sqlalchemy as sa
from alembic import op

from jobs.db import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "open_requests",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("platform", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(255), nullable=False),
        sa.Column("thread", sa.String(255), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("source", sa.String(255), nullable=False, unique=True),
        sa.Column("asked_at", UtcDateTime, nullable=False),
        sa.Column("answered_by", sa.String(255)),
        sa.Index("ix_open_requests_place", "platform", "channel", "thread", "user_id"),
    )


def downgrade() -> None:
    op.drop_table("open_requests")
