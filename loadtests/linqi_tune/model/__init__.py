"""From measured costs and traffic to settings: models without I/O."""
