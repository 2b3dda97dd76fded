"""Alembic's entry: it runs this file, which runs the migrations over the connection that `upgrade` was given."""

from alembic import context

from monitoring.log.schema import METADATA

if hasattr(context, "config"):  # whoever imports this file otherwise finds no context, and runs nothing
    context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
    with context.begin_transaction():
        context.run_migrations()
