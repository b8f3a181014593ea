"""End-to-end tests: what a user uses, really started."""
