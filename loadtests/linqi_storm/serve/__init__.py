"""The issuing app of ``linqi serve`` with its page, and an app with dual tokens."""
