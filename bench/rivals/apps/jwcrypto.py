"""jwcrypto in a FastAPI dependency, as its page "JSON Web Token (JWT)" sets it up."""

import json

from fastapi import FastAPI
from jwcrypto.common import JWException, base64url_encode
from jwcrypto.jwk import JWK
from jwcrypto.jwt import JWT

from rivals.apps import _fastapi
from rivals.material import Material

bare = _fastapi.bare


def decoder(material: Material) -> _fastapi.Decoder:
    """Return the check of a token and its claims; ``exp`` without the default leeway of 60 s."""
    if material.secret:
        key = JWK(kty="oct", k=base64url_encode(material.secret))
    else:
        key = JWK.from_pem(material.public_pem.encode())
    algorithms = list(material.algorithms)
    checks = {"iss": material.issuer, "aud": material.audience, "exp": None, "sub": None}

    def decode(token: str) -> dict[str, object]:
        read = JWT(algs=algorithms, check_claims=checks)
        read.leeway = 0
        read.deserialize(token, key)
        return json.loads(read.claims)

    return decode


def guarded(material: Material) -> FastAPI:
    """Return the guarded application."""
    return _fastapi.guarded(decoder(material), JWException, ValueError)
