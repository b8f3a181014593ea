"""Tests of scribewire.cli."""
