"""Frameworks x servers: each framework's application behind linqi on each ASGI server.

``make matrix`` serves every pair of them, wrapped and unwrapped beside it, checks both and prints
the table; docs/frameworks/matrix.md has the last one.
"""
