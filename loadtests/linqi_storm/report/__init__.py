"""The output of a result: the HTML page, the terminal, JUnit."""
