"""Find an image in all cases by its digest; who confirmed the class of a cell, and gestures that confirm one."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Index the digests; add two columns; let a gesture confirm that an image has no class."""
    op.create_index("ix_cells_digest", "cells", ["digest"])
    op.add_column("cells", sa.Column("seen_by", sa.Text(), nullable=True))
    op.add_column("gesture_cells", sa.Column("seen_before", sa.Text(), nullable=True))
    with op.batch_alter_table("gesture_cells") as table:
        table.alter_column("after", existing_type=sa.String(16), nullable=True)
