"""Scalers: the hands that start and stop workers, one file each, one table."""
