"""Why a case or an image is void."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns: nothing is void."""
    op.add_column("cases", sa.Column("void_reason", sa.Text(), nullable=True))
    op.add_column("cells", sa.Column("void_reason", sa.Text(), nullable=True))
