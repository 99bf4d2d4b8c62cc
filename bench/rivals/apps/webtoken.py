"""webtoken, whose core is Rust, in a FastAPI dependency, as its README, "PyJWT Style", decodes."""

import webtoken
from fastapi import FastAPI

from rivals.apps import _fastapi
from rivals.material import Material

bare = _fastapi.bare


def decoder(material: Material) -> _fastapi.Decoder:
    """Return webtoken's `decode` with algorithm, issuer, audience and required claims."""
    algorithms = list(material.algorithms)
    options = {"require": ["exp", "iss", "aud", "sub"]}

    def decode(token: str) -> dict[str, object]:
        return webtoken.decode(
            token,
            material.verifies_with,
            algorithms,
            options,
            issuer=material.issuer,
            audience=material.audience,
        )

    return decode


def guarded(material: Material) -> FastAPI:
    """Return the guarded application."""
    return _fastapi.guarded(decoder(material), webtoken.InvalidTokenError)
