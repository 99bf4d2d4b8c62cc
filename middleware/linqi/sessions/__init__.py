"""Sessions: sliding renewal, refresh tokens, revocation and the contract of stores."""
