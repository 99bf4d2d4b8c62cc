"""Logins from the command line, whose tokens curl and other programs use."""
