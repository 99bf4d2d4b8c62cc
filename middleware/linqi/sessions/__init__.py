"""Staying signed in: when a session slides forward, and the service that does it."""
