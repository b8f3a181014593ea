"""Dialects: pure codecs between the wire and core events, one file each, one table."""
