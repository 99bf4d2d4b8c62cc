"""The commands of the core, and the registry of commands of all packages."""
