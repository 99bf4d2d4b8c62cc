"""The published examples of the JOSE standards; tests/vectors/README.md names their sources."""

import json
from pathlib import Path
from typing import Any

import pybase64
import pytest

from linqi import ANY_AUDIENCE, ConfigurationError, Key, KeySet, TokenError, TrustedIssuer, Verifier

VECTORS = [
    json.loads(line)
    for line in (Path(__file__).parent / "vectors/rfc_vectors.jsonl").read_text().splitlines()
]
ACCEPTED = [vector for vector in VECTORS if vector["expect"] == "accept"]


TYPES = {"HS": "oct", "RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
USUAL = {"oct": "HS256", "OKP": "EdDSA", "RSA": "RS256", "P-256": "ES256", "P-521": "ES512"}


def key_of(vector: dict[str, Any]) -> Key:
    """Load the vector's key for the listed algorithm of its type, else for the usual one."""
    jwk = vector["jwk"]
    fits = [alg for alg in vector["algs"] if TYPES[alg[:2]] == jwk["kty"] != "EC"]
    usual = USUAL[jwk["crv"] if jwk["kty"] == "EC" else jwk["kty"]]
    return Key.from_jwk(jwk, jwk.get("alg") or (fits or [usual])[0])


def decoded(segment: str) -> bytes:
    """Decode unpadded base64url."""
    return pybase64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def test_there_are_vectors_of_both_kinds() -> None:
    """The file is the whole one: 59 vectors, some to accept."""
    assert len(VECTORS) == 59
    assert len(ACCEPTED) >= 8


@pytest.mark.parametrize("vector", ACCEPTED, ids=lambda vector: vector["id"])
def test_a_published_signature_is_accepted(vector: dict[str, Any]) -> None:
    """The signature fits the key, and the payload is the published one."""
    signed, _, signature = vector["jws"].rpartition(".")
    assert key_of(vector).verify(signed.encode(), decoded(signature))
    assert signed.partition(".")[2] == vector.get("payload_b64", signed.partition(".")[2])


@pytest.mark.parametrize("vector", ACCEPTED, ids=lambda vector: vector["id"])
def test_a_changed_payload_is_refused(vector: dict[str, Any]) -> None:
    """The same signature over other bytes does not fit."""
    signed, _, signature = vector["jws"].rpartition(".")
    assert not key_of(vector).verify(signed.encode() + b"A", decoded(signature))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_a_verifier_refuses_every_vector(vector: dict[str, Any]) -> None:
    """Those to reject for their form or signature, the others because they are no access tokens.

    RFC 7515's claims expired in 2011, RFC 7520 signs prose; none may pass as a bearer token.
    """
    trusted = {"issuer": "joe", "audience": ANY_AUDIENCE, "keys": KeySet([key_of(vector)])}
    if not any(alg == key_of(vector).alg for alg in vector["algs"]):
        with pytest.raises(ConfigurationError):
            TrustedIssuer(**trusted, algorithms=vector["algs"])
        return
    with pytest.raises(TokenError):
        Verifier(TrustedIssuer(**trusted, algorithms=vector["algs"])).verify(vector["jws"])


def test_the_claims_example_is_accepted_in_its_own_time() -> None:
    """RFC 7515 A.1 is a good token until its ``exp`` in 2011, and refused from then on."""
    vector = next(v for v in VECTORS if v["id"] == "rfc7515-A.1")
    now = 1_300_819_379.0
    verifier = Verifier(
        TrustedIssuer(
            issuer="joe",
            audience=ANY_AUDIENCE,
            keys=KeySet([key_of(vector)]),
            algorithms=["HS256"],
        ),
        clock=lambda: now,
    )
    assert verifier.verify(vector["jws"]).claims["http://example.com/is_root"] is True
    now += 1
    with pytest.raises(TokenError, match="expired"):
        verifier.verify(vector["jws"])
