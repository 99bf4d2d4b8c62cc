"""ryjwt, whose core is Rust, in a FastAPI dependency, as its README decodes into a Struct.

The Struct's required fields are the only way to require ``exp`` and ``sub``.
"""

import msgspec
import ryjwt
from fastapi import FastAPI

from rivals.apps import _fastapi
from rivals.material import Material

bare = _fastapi.bare


class Claims(msgspec.Struct):
    """What the application expects of a token."""

    iss: str
    aud: str
    sub: str
    exp: int | float
    tenant: str


def decoder(material: Material):
    """Return `decode` of a key that knows algorithms, issuer and audience."""
    make = ryjwt.SecretKey if material.secret else ryjwt.PublicKey
    key = make(
        material.verifies_with,
        algorithms=material.algorithms,
        issuer=material.issuer,
        audience=material.audience,
    )
    return lambda token: key.decode(token, into=Claims)


def guarded(material: Material) -> FastAPI:
    """Return the guarded application."""
    return _fastapi.guarded(decoder(material), ryjwt.InvalidTokenError, read=getattr)
