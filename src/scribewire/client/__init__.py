"""The client: what the command line and users' programs speak to the service with."""
