"""The models of the tuner, without I/O: from measured costs and traffic to settings."""
