"""Readers of what was measured: results, logs and metrics."""
