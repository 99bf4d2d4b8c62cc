"""One storm, from its settings to its result."""
