"""Priority, due day and alarms of a case, for the work list."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the columns: routine, no day; `store.alarms` counts blasts and abnormal values, since that needs the log."""
    op.add_column("cases", sa.Column("priority", sa.String(20), nullable=False, server_default="routine"))
    op.add_column("cases", sa.Column("due", sa.Date(), nullable=True))
    op.add_column("cases", sa.Column("blasts", sa.Integer(), nullable=True))
    op.add_column("cases", sa.Column("abnormal", sa.Integer(), nullable=True))
    op.create_index("ix_cases_due", "cases", ["due"])
