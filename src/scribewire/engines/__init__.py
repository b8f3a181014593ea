"""Engines: recognisers behind one contract, one file each, one table."""
