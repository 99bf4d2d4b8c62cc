"""What was measured, read from where it lies: results, logs and metrics."""
