"""PyJWT in a bare ASGI callable."""

import jwt

from rivals.apps import _asgi
from rivals.apps.pyjwt import decoder
from rivals.material import Material

__all__ = ["bare", "decoder", "guarded"]

bare = _asgi.bare


def guarded(material: Material):
    """Return the guarded application."""
    return _asgi.guarded(decoder(material), jwt.InvalidTokenError)
