"""Session stores; each driver is imported by one module only."""
