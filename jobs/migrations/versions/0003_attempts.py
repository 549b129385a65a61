"""What a run keeps of its lost attempts, and which run it goes on from."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("losses", sa.Integer, nullable=False, server_default="0"))
        runs.add_column(sa.Column("done_at_loss", sa.Integer, nullable=False, server_default="0"))
        runs.add_column(sa.Column("cancel_asked", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    with op.batch_alter_table("runs") as runs:
        for column in ("losses", "done_at_loss", "cancel_asked"):
            runs.drop_column(column)
