"""The gateway: owns sessions, keys and the fleet; imports no recogniser."""
