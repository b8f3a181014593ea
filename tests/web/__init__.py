"""The web page in a real browser: what people see, hear read out and press."""
