"""Run by Alembic. The connection comes from the store: it holds the lock that keeps replicas from migrating at once."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], target_metadata=None, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
