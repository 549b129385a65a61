"""Groups, runs, the datasets they cover, and the position in the stream of transitions; questions people are asked."""

import sqlalchemy as sa
from alembic import op

from jobs.db import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "groups",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("platform", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(255), nullable=False),
        sa.Column("thread", sa.String(255), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("text", sa.String, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("source", sa.String(255), nullable=False, unique=True),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("group_id", sa.Integer, sa.ForeignKey("groups.id"), nullable=False, index=True),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("model", sa.String(255), nullable=False, index=True),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("started_at", UtcDateTime),
        sa.Column("ended_at", UtcDateTime, index=True),
        sa.Column("failure", sa.JSON),
        sa.Column("result", sa.JSON),
        sa.Column("report_ready", sa.Boolean, nullable=False),
    )
    op.create_table(
        "run_datasets",
        sa.Column("run_id", sa.Integer, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True, index=True),
    )
    positions = op.create_table(
        "stream_positions",
        sa.Column("stream", sa.String(64), primary_key=True),
        sa.Column("position", sa.String(64), nullable=False),
    )
    # there from the beginning, so that two readers have a row to lock
    op.bulk_insert(positions, [{"stream": "events", "position": "0-0"}])
    op.create_table(
        "questions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("platform", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(255), nullable=False),
        sa.Column("thread", sa.String(255), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("text", sa.String, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("source", sa.String(255), nullable=False, unique=True),
        sa.Column("asked_at", UtcDateTime, nullable=False),
        sa.Column("answer", sa.String(64)),
    )


def downgrade() -> None:
    for table in ("questions", "stream_positions", "run_datasets", "runs", "groups"):
        op.drop_table(table)
