"""Tests of scribewire.worker."""
