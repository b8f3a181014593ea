"""Fetching: the service goes and gets a session's audio itself, from nowhere but where it may."""
