"""An outside issuer that misbehaves on command, and an API that trusts it."""
