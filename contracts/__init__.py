"""The vocabulary that every room shares: features, tables, parameters, artifacts, errors.

Imports the standard library, pydantic, numpy and model-signing; nothing of ours.
"""
