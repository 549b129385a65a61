"""Channels' own defaults, and named presets."""

import sqlalchemy as sa
from alembic import op

from jobs.db import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("channels") as channels:
        channels.add_column(sa.Column("default_model", sa.String(255), nullable=True))
        channels.add_column(sa.Column("default_limit", sa.Float, nullable=True))
    op.create_table(
        "presets",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(64), nullable=False, unique=True),
        sa.Column("args", sa.JSON, nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("source", sa.String(255), nullable=False),
        sa.Column("saved_at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("presets")
    with op.batch_alter_table("channels") as channels:
        channels.drop_column("default_limit")
        channels.drop_column("default_model")
