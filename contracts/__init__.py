"""The vocabulary that every room shares: schema, tables, reports, artifacts, settings, errors.

Imports the standard library, pydantic, numpy and model-signing; nothing of ours.
"""
