"""The worker: loads engines, measures its own speed, decodes streams; disposable."""
