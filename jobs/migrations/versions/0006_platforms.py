"""What chat platforms need: private posts, presses that count once, channels' settings, Slack's installations."""

import sqlalchemy as sa
from alembic import op

from jobs.db import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("outbox") as outbox:
        outbox.add_column(sa.Column("user_id", sa.String(255), nullable=False, server_default=""))
        outbox.add_column(sa.Column("private", sa.Boolean, nullable=False, server_default=sa.false()))
        outbox.add_column(sa.Column("reply_url", sa.Text, nullable=False, server_default=""))
        outbox.create_index("ix_outbox_message_id", ["message_id"])
    op.create_table(
        "presses",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("post", sa.String(320), nullable=False),
        sa.Column("button", sa.String(255), nullable=False),
        sa.Column("source", sa.String(255), nullable=False),
        sa.Column("pressed_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("post", "button", name="uq_presses_post_button"),
    )
    op.create_table(
        "channels",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("platform", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(255), nullable=False),
        sa.Column("headlines", sa.Boolean, nullable=False),
        sa.UniqueConstraint("platform", "channel", name="uq_channels_platform_channel"),
    )
    op.create_table(
        "slack_installations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("team", sa.String(32), nullable=False, unique=True),
        sa.Column("installation", sa.Text, nullable=False),
        sa.Column("installed_at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("slack_installations")
    op.drop_table("channels")
    op.drop_table("presses")
    with op.batch_alter_table("outbox") as outbox:
        outbox.drop_index("ix_outbox_message_id")
        for column in ("reply_url", "private", "user_id"):
            outbox.drop_column(column)
