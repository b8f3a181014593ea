"""Scribewire: self-hosted realtime speech-to-text."""

__version__ = "0.1.0.dev0"
