"""Run by alembic on the connection of `store.database`."""

from alembic import context

from leukopy.review.store.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
