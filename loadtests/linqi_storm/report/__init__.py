"""A result as it is shown: the HTML page, the terminal, JUnit."""
