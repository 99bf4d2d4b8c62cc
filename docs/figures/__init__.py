"""The figures of the documentation, drawn by a program: `PYTHONPATH=docs python -m figures`."""
