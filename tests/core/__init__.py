"""Tests of scribewire.core."""
