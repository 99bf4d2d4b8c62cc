"""joserfc in a FastAPI dependency, as its guide "JSON Web Token" sets it up."""

from fastapi import FastAPI
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from rivals.apps import _fastapi
from rivals.material import Material

bare = _fastapi.bare
_KINDS = {"HS": OctKey, "RS": RSAKey, "ES": ECKey, "Ed": OKPKey}


def decoder(material: Material) -> _fastapi.Decoder:
    """Return joserfc's `decode` followed by its claims registry."""
    key = _KINDS[material.alg[:2]].import_key(material.verifies_with)
    algorithms = list(material.algorithms)
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": material.issuer},
        aud={"essential": True, "value": material.audience},
        exp={"essential": True},
        sub={"essential": True},
    )

    def decode(token: str) -> dict[str, object]:
        claims = jwt.decode(token, key, algorithms=algorithms).claims
        registry.validate(claims)
        return claims

    return decode


def guarded(material: Material) -> FastAPI:
    """Return the guarded application."""
    return _fastapi.guarded(decoder(material), JoseError, ValueError)
