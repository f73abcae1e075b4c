"""Slide check: distance of a slide from the training data; unknown for older cases."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """From the first tables."""
    op.add_column("cases", sa.Column("look", sa.JSON(), nullable=True))
    op.add_column("cases", sa.Column("slide_check", sa.JSON(), nullable=True))
