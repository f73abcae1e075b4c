"""Seals of cells and gestures, and the states that the audit log tells (`store.seals`)."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns; `store.audit.open_log` fills them, since that needs the key of the log."""
    op.add_column("cells", sa.Column("seal", sa.String(64), nullable=True))
    op.add_column("gestures", sa.Column("seal", sa.String(64), nullable=True))
    op.add_column("audit", sa.Column("subject", sa.String(64), nullable=True))
    op.add_column("audit", sa.Column("state", sa.Text(), nullable=True))
    op.create_index("ix_audit_subject", "audit", ["subject"])
