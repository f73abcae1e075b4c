"""Photographs of fields, and the place of a cell on its field."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the table and the columns: no case has fields."""
    op.create_table(
        "fields",
        sa.Column("case_id", sa.String(32), sa.ForeignKey("cases.id", name="fk_fields_case_id"), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("left_out", sa.Text(), nullable=True),
        sa.Column("detections", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("case_id", "number", name="pk_fields"),
    )
    op.create_index("ix_fields_digest", "fields", ["digest"])
    op.add_column("cases", sa.Column("smear", sa.JSON(), nullable=True))
    op.add_column("cells", sa.Column("field", sa.Integer(), nullable=True))
    op.add_column("cells", sa.Column("box", sa.JSON(), nullable=True))
    op.add_column("cells", sa.Column("drawn_by", sa.Text(), nullable=True))
