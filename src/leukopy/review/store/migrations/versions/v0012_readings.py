"""Blind readings."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make the table."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "readings",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(6), nullable=False),
        sa.Column("state", sa.String(9), nullable=False),
        sa.Column("reader_id", sa.String(32), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("finished", moment, nullable=True),
        sa.Column("cells", sa.JSON(), nullable=False),
        sa.Column("answers", sa.JSON(), nullable=False),
        sa.Column("others", sa.JSON(), nullable=True),
        sa.Column("settled", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_readings_case_id"),
        sa.ForeignKeyConstraint(["reader_id"], ["users.id"], name="fk_readings_reader_id"),
        sa.PrimaryKeyConstraint("id", name="pk_readings"),
    )
    op.create_index("ix_readings_case_id", "readings", ["case_id"])
    op.create_index("ix_readings_reader_id", "readings", ["reader_id"])
