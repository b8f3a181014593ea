"""Tests of scribewire.dialects."""
