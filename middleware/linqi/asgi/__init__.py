"""The ASGI side: where tokens are found, who must have one, and how a successor is delivered."""
