"""What must hold before a version is published: ``python -m release_check``."""
