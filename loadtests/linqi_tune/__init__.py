"""The tuner: from what was measured to settings, and the proof that they are better."""
