"""The vocabulary that every room shares: schema, tables, reports, artifacts, settings, objectives, paths, errors."""
