"""The load generator: how many streams a service holds, and how late its text is. Knows the wire, not the service."""
