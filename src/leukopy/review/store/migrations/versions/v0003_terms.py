"""The field's terms ``appearance``, ``cells_used`` and ``unlike_training``; cells that are analysed but have no class.

Signed contents keep their names (`store.migrations.signed`).
"""

import sqlalchemy as sa
from alembic import op

from leukopy.review.store.migrations.signed import renamed

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Rename a column of the cases and two keys of their slide check; let a cell be analysed without a class."""
    op.alter_column("cases", "look", new_column_name="appearance")
    _rename_slide_check()
    op.add_column("cells", sa.Column("analysed", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE cells SET analysed = (code IS NOT NULL)")
    with op.batch_alter_table("gesture_cells") as table:
        table.alter_column("before", existing_type=sa.String(16), nullable=True)


def _rename_slide_check() -> None:
    cases = sa.table("cases", sa.column("id", sa.String), sa.column("slide_check", sa.JSON(none_as_null=True)))
    rows = op.get_bind().execute(sa.select(cases).where(cases.c.slide_check.is_not(None))).all()
    for case_id, check in rows:
        op.execute(cases.update().where(cases.c.id == case_id).values(slide_check=renamed(check)))
