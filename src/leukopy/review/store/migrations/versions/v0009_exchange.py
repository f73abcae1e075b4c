"""Orders of laboratory systems, and the outbox of results."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables: nothing was ordered, nothing was sent."""
    op.create_table(
        "orders",
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("requester", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("received", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("case_id", name="pk_orders"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_orders_case_id"),
        sa.UniqueConstraint("number", name="uq_orders_number"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(20), nullable=False),
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("route", sa.String(20), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("next_attempt", _MOMENT, nullable=False),
        sa.Column("sender", sa.String(32), nullable=True),
        sa.Column("lease", _MOMENT, nullable=True),
        sa.Column("sent", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_deliveries_case_id"),
    )
    op.create_index("ix_deliveries_case_id", "deliveries", ["case_id"])
    op.create_index("ix_deliveries_state_next_attempt", "deliveries", ["state", "next_attempt"])
