"""Load tests of expiring tokens (`linqi storm`), and the issuing app (`linqi serve`)."""
