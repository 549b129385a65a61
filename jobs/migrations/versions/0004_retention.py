"""When a run's files were let go."""

import sqlalchemy as sa
from alembic import op

from jobs.db import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("files_gone_at", UtcDateTime))


def downgrade() -> None:
    with op.batch_alter_table("runs") as runs:
        runs.drop_column("files_gone_at")
