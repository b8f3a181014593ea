"""Tests of scribewire.scalers."""
