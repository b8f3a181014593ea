"""What Alembic runs for a migration: on the store's own connection and in its transaction."""

from __future__ import annotations

from alembic import context

from scribewire.gateway.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
