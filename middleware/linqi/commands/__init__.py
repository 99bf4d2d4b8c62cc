"""What the commands of the core do, and how commands of any package are found."""
