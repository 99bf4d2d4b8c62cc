"""PyJWT in a FastAPI dependency, with a key object made once."""

import jwt
from fastapi import FastAPI

from rivals.apps import _fastapi
from rivals.material import Material

bare = _fastapi.bare


def decoder(material: Material) -> _fastapi.Decoder:
    """Return PyJWT's `decode` with algorithm, issuer, audience and a required ``exp``."""
    prepared = jwt.get_algorithm_by_name(material.alg).prepare_key(material.verifies_with)
    algorithms = list(material.algorithms)
    options = {"require": ["exp", "iss", "aud", "sub"]}

    def decode(token: str) -> dict[str, object]:
        return jwt.decode(
            token,
            prepared,
            algorithms=algorithms,
            issuer=material.issuer,
            audience=material.audience,
            options=options,
        )

    return decode


def guarded(material: Material) -> FastAPI:
    """Return the guarded application."""
    return _fastapi.guarded(decoder(material), jwt.InvalidTokenError)
