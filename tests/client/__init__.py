"""Tests of scribewire.client."""
