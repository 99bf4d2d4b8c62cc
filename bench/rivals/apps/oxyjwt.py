"""oxyjwt, whose core is Rust, in a FastAPI dependency, with a key object made once."""

import oxyjwt
from fastapi import FastAPI

from rivals.apps import _fastapi
from rivals.material import Material

bare = _fastapi.bare
_MAKERS = {
    "HS": oxyjwt.DecodingKey.from_secret,
    "RS": oxyjwt.DecodingKey.from_rsa_pem,
    "ES": oxyjwt.DecodingKey.from_ec_pem,
    "Ed": oxyjwt.DecodingKey.from_ed_pem,
}


def decoder(material: Material) -> _fastapi.Decoder:
    """Return oxyjwt's `decode` with algorithm, issuer, audience and required claims."""
    key = _MAKERS[material.alg[:2]](material.verifies_with)
    algorithms = list(material.algorithms)
    options = {"require": ["exp", "iss", "aud", "sub"]}

    def decode(token: str) -> dict[str, object]:
        return oxyjwt.decode(
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
    return _fastapi.guarded(decoder(material), oxyjwt.InvalidTokenError)
