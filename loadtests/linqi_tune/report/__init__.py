"""Renderings of the advice: on the terminal, as JSON, as a page, as changes to a file."""
