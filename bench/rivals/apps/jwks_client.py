"""jwks-client as a FastAPI dependency, as its README, "FastAPI" and "Testing", sets it up.

It takes keys from a key set alone, which a transport inside the process returns: no network is
measured. A real issuer publishes no HMAC secret.
"""

from collections.abc import Mapping
from operator import getitem
from typing import Any

import httpware
import httpx2
import jwt
from fastapi import FastAPI
from jwks_client import JWKSClient, JWTVerifier
from jwks_client.fastapi import JWKSBearer

from rivals.apps import _fastapi
from rivals.material import KID, Material

bare = _fastapi.bare


def _verifier(material: Material) -> JWTVerifier:
    algorithm = jwt.get_algorithm_by_name(material.alg)
    jwk = algorithm.to_jwk(algorithm.prepare_key(material.verifies_with), as_dict=True)
    published = {"keys": [{**jwk, "kid": KID, "use": "sig", "alg": material.alg}]}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=published))
    jwks = JWKSClient(
        f"{material.issuer}/jwks.json", http_client=httpware.AsyncClient(transport=transport)
    )
    return JWTVerifier(
        jwks,
        algorithms=material.algorithms,
        audience=material.audience,
        issuer=material.issuer,
        options={"require": ["exp", "iss", "aud", "sub"]},
    )


def decoder(material: Material) -> _fastapi.Decoder:
    """Return `JWTVerifier.verify`, run to its end: it waits for nothing once it has the keys."""
    verify = _verifier(material).verify

    def decode(token: str) -> Mapping[str, Any]:
        steps = verify(token)
        try:
            while True:
                steps.send(None)
        except StopIteration as ended:
            return ended.value

    return decode


def guarded(material: Material) -> FastAPI:
    """Return the guarded application."""
    return _fastapi.guarded_by(JWKSBearer(_verifier(material)), getitem)
