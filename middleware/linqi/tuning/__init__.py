"""The tuner at work: facts gathered, advice shown, written, and proved."""
