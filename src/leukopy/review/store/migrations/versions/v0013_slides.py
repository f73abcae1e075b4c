"""Overview of a whole slide, and the place of a field on it."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the table and the column: no case shows a whole slide."""
    op.create_table(
        "overviews",
        sa.Column("case_id", sa.String(32), sa.ForeignKey("cases.id", name="fk_overviews_case_id"), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("case_id", name="pk_overviews"),
    )
    op.add_column("fields", sa.Column("place", sa.JSON(), nullable=True))
