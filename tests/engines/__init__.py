"""Tests of scribewire.engines."""
