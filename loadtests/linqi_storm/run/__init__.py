"""One storm, from what was asked for to its result."""
