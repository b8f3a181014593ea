"""The tests: they mirror the source, one file for one file."""
