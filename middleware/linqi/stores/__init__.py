"""Stores for sessions; each module is the one door to its driver."""
