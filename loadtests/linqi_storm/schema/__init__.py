"""What a storm is, as values: its size, its options, the generators' plan, its result."""
