"""Migrations of the store, run by gateway/schema.py."""
