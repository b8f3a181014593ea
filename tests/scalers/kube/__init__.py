"""A Kubernetes API server of our own, over real HTTPS, whose pods may be real workers."""
