"""Tests of scribewire.gateway."""
