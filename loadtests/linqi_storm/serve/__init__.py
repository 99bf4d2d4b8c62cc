"""The issuing app with its page, as `linqi serve` runs it, and an app with dual tokens."""
