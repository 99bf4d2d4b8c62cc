"""An outside issuer that fails on command, and an API that trusts it."""
