"""Authlib in a FastAPI dependency, as its page "JSON Web Token (JWT)" sets it up."""

import warnings

from fastapi import FastAPI

from rivals.apps import _fastapi
from rivals.material import Material

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Authlib 1.9 recommends joserfc, which is a rival of its own
    from authlib.jose import ECKey, JsonWebToken, OctKey, OKPKey, RSAKey
    from authlib.jose.errors import JoseError

bare = _fastapi.bare
_KINDS = {"HS": OctKey, "RS": RSAKey, "ES": ECKey, "Ed": OKPKey}


def decoder(material: Material) -> _fastapi.Decoder:
    """Return Authlib's `decode` followed by `validate`."""
    key = _KINDS[material.alg[:2]].import_key(material.verifies_with)
    jwt = JsonWebToken(list(material.algorithms))
    options = {
        "iss": {"essential": True, "value": material.issuer},
        "aud": {"essential": True, "value": material.audience},
        "exp": {"essential": True},
        "sub": {"essential": True},
    }

    def decode(token: str) -> dict[str, object]:
        claims = jwt.decode(token, key, claims_options=options)
        claims.validate()
        return claims

    return decode


def guarded(material: Material) -> FastAPI:
    """Return the guarded application."""
    return _fastapi.guarded(decoder(material), JoseError, ValueError)
