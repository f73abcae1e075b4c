"""Comment templates, findings, and rules of signing."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the tables, empty: what leukopy delivers is no row; no case has a finding."""
    op.add_column("cases", sa.Column("findings", sa.String(), nullable=False, server_default=""))
    op.create_table(
        "phrases",
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(7), nullable=False),
        sa.Column("english", sa.Text(), nullable=False),
        sa.Column("french", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("code", name="pk_phrases"),
    )
    op.create_table(
        "rules",
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("measure", sa.String(16), nullable=False),
        sa.Column("unit", sa.String(8), nullable=False),
        sa.Column("comparison", sa.String(8), nullable=False),
        sa.Column("limit", sa.Double(), nullable=False),
        sa.Column("demand", sa.String(13), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("code", name="pk_rules"),
    )
