"""The applications under test and the process that serves them, with its samples."""
