"""Key sets of outside issuers, and key files that are read again when they change."""
