"""Key sets that others publish, and the publishing of our own."""
