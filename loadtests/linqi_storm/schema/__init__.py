"""A storm as values: its settings, its load, the plan for the generators, its result."""
