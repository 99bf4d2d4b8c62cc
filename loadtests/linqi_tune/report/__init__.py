"""The advice as it is shown: on the terminal, as JSON, as a page, and as changes to a file."""
