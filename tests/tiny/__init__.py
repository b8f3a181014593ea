"""Models that tests write themselves: every word is a tone, so what an engine should hear is known exactly."""
