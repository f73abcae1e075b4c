"""Sex of the patient, and whether the leukocytes entered hold erythroblasts."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns: unknown, and not corrected."""
    op.add_column("cases", sa.Column("sex", sa.String(6), nullable=True))
    op.add_column("cases", sa.Column("leukocytes_corrected", sa.Boolean(), nullable=False, server_default=sa.false()))
