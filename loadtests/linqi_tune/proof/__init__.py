"""The proof that new settings are better: storms before and after the change."""
