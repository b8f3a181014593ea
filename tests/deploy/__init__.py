"""Tests of deploy/: what is written there is valid, and keeps its promises."""
