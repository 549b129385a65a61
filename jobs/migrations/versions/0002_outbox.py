"""What is to be posted, which groups are settled, and which click answered a question."""

import sqlalchemy as sa
from alembic import op

from jobs.db import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(320), nullable=False, unique=True),
        sa.Column("source", sa.String(255), nullable=False, index=True),
        sa.Column("platform", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(255), nullable=False),
        sa.Column("thread", sa.String(255), nullable=False),
        sa.Column("message", sa.JSON, nullable=False),
        sa.Column("group_id", sa.Integer, sa.ForeignKey("groups.id"), index=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("refused", sa.Boolean, nullable=False),
        sa.Column("waits", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("message_id", sa.String(255)),
        sa.Column("final", sa.Boolean, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("sent_at", UtcDateTime),
        sa.Index("ix_outbox_state_platform", "state", "platform"),
    )
    op.add_column("groups", sa.Column("settled_at", UtcDateTime))
    op.create_index("ix_groups_settled_at", "groups", ["settled_at"])
    # what was asked for before there was an outbox was reported, or lost, by a process that is gone
    op.execute("UPDATE groups SET settled_at = created_at")
    op.add_column("questions", sa.Column("answered_by", sa.String(255)))


def downgrade() -> None:
    with op.batch_alter_table("questions") as questions:
        questions.drop_column("answered_by")
    with op.batch_alter_table("groups") as groups:
        groups.drop_index("ix_groups_settled_at")
        groups.drop_column("settled_at")
    op.drop_table("outbox")
