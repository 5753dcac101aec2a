"""Alembic migrations of the dispatcher's database, run at its start."""
