"""The clients of a storm, and the load generator process that runs them."""
