"""python-jose in a FastAPI dependency, with a key object made once."""

from fastapi import FastAPI
from jose import jwk, jwt
from jose.exceptions import JOSEError

from rivals.apps import _fastapi
from rivals.material import Material

bare = _fastapi.bare


def decoder(material: Material) -> _fastapi.Decoder:
    """Return python-jose's `decode` with algorithm, issuer, audience and required claims."""
    key = jwk.construct(material.verifies_with, material.alg)
    algorithms = list(material.algorithms)
    options = {"require_exp": True, "require_iss": True, "require_aud": True, "require_sub": True}

    def decode(token: str) -> dict[str, object]:
        return jwt.decode(
            token,
            key,
            algorithms=algorithms,
            issuer=material.issuer,
            audience=material.audience,
            options=options,
        )

    return decode


def guarded(material: Material) -> FastAPI:
    """Return the guarded application."""
    return _fastapi.guarded(decoder(material), JOSEError)
