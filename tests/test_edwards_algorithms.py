"""RFC 9864: Ed25519 and Ed448 beside EdDSA, one algorithm per key (V2)."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from joserfc import jws
from joserfc.jwk import OKPKey

from linqi import ConfigurationError, Key, KeySet, TrustedIssuer, Verifier
from linqi._base64url import decode, encode
from linqi.cli import main
from linqi.errors import AlgorithmNotAllowed, InvalidKey, InvalidSignature, TokenError, UnknownKey
from linqi.jose.rotation import rotate
from linqi.jwks.lint import lint
from linqi.jwks.published import read_published
from tokens import AUDIENCE, ISSUER, NOW, good_claims, make

NAMES = ["EdDSA", "Ed25519", "Ed448"]
RFC_8037 = {
    "kty": "OKP",
    "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
"""The key of RFC 8037, appendix A.1."""
RFC_8032 = {
    "secret": "6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3"
    "528c8a3fcc2f044e39a3fc5b94492f8f032e7549a20098f95b",
    "public": "5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778"
    "edf124769b46c7061bd6783df1e50f6cd1fa1abeafe8256180",
    "signature": "533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f"
    "2b233f034f628281f2fd7a22ddd47d7828c59bd0a21bfd3980ff0d2028d4b18a9df63e006c5d1c2d345b925d"
    "8dc00b4104852db99ac5c7cdda8530a113a0f4dbb61149f05a7363268c71d95808ff2e652600",
}
"""Ed448 of the empty text: RFC 8032, section 7.4, "Blank"."""


def verifier(*keys: Key, algorithms: list[str] | None = None) -> Verifier:
    """Return a verifier of these keys."""
    trusted = TrustedIssuer(
        issuer=ISSUER, audience=AUDIENCE, keys=KeySet(keys), algorithms=algorithms or NAMES
    )
    return Verifier(trusted, clock=lambda: NOW, cache=None)


def bare(key: Key) -> dict[str, Any]:
    """Return the public JWK without alg, as some issuers publish it."""
    return {name: value for name, value in key.public_jwk().items() if name != "alg"}


@pytest.mark.parametrize(("alg", "curve"), [("Ed25519", "Ed25519"), ("Ed448", "Ed448")])
def test_a_key_has_its_own_name_everywhere(alg: str, curve: str) -> None:
    """In the JWK, in the header of its tokens, and for another library, both ways."""
    key = Key.generate(alg)
    assert key.public_jwk()["alg"] == alg
    assert key.public_jwk()["crv"] == curve
    assert Key.from_jwk(key.private_jwk()).is_same(key)
    token = make(key, good_claims())
    verified = verifier(key.public_half()).verify(token)
    assert verified.algorithm == alg
    theirs = OKPKey.import_key(key.private_jwk())
    assert json.loads(jws.deserialize_compact(token, theirs, algorithms=[alg]).payload)
    header = {"alg": alg, "kid": key.kid, "typ": "at+jwt"}
    other = jws.serialize_compact(header, json.dumps(good_claims()), theirs, algorithms=[alg])
    assert verifier(key).verify(other).algorithm == alg


@pytest.mark.parametrize("kid", [{"kid": "k"}, {}, {"kid": "another"}])
@pytest.mark.parametrize("curve", ["Ed25519", "Ed448"])
def test_v2_a_key_never_verifies_a_token_of_the_other_name(curve: str, kid: Any) -> None:
    """The signature would fit: it is the same key, and the header does not choose."""
    material = bare(Key.generate("EdDSA", curve=curve, kid="k"))
    material.pop("kid")
    signer = Key.generate(curve, kid="k")
    for mine, theirs in (("EdDSA", curve), (curve, "EdDSA")):
        private = {**signer.private_jwk(), "alg": theirs}
        token = make(Key.from_jwk(private), good_claims(), {"alg": theirs, "typ": "at+jwt"} | kid)
        for named in ("k", None):
            public = {**bare(signer), "kid": named, "alg": mine}
            with pytest.raises(UnknownKey):
                verifier(Key.from_jwk(public)).verify(token)
        with pytest.raises(AlgorithmNotAllowed):
            verifier(Key.from_jwk(public), algorithms=[mine]).verify(token)


def test_v16_the_curve_must_fit_the_name(tmp_path: Path) -> None:
    """In a JWK, a PEM, an object of the library, and for a new key."""
    material = {"Ed25519": ed25519.Ed25519PrivateKey, "Ed448": ed448.Ed448PrivateKey}
    for alg, other in (("Ed25519", "Ed448"), ("Ed448", "Ed25519")):
        wrong = material[other].generate()
        pem = wrong.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        jwk = bare(Key(wrong, "EdDSA"))
        for read in (
            lambda wrong=wrong, alg=alg: Key(wrong, alg),
            lambda wrong=wrong, alg=alg: Key(wrong.public_key(), alg),
            lambda pem=pem, alg=alg: Key.from_pem(pem, alg),
            lambda jwk=jwk, alg=alg: Key.from_jwk(jwk, alg),
            lambda jwk=jwk, alg=alg: Key.from_jwk({**jwk, "alg": alg}),
            lambda alg=alg, other=other: Key.generate(alg, curve=other),
        ):
            with pytest.raises(InvalidKey, match=f"{alg}"):
                read()
        assert Key.from_pem(pem, other).alg == other
    with pytest.raises(InvalidKey, match="another type"):
        Key(ec.generate_private_key(ec.SECP256R1()), "Ed25519")
    with pytest.raises(InvalidKey, match="unknown curve"):
        Key.generate("EdDSA", curve="X25519")


@pytest.mark.parametrize(
    ("algorithms", "expected"),
    [
        (["EdDSA"], "EdDSA"),
        (["Ed25519"], "Ed25519"),
        (["Ed25519", "Ed448"], "Ed25519"),
        (["RS256", "Ed25519"], "Ed25519"),
        (["EdDSA", "Ed25519"], None),
        (["Ed448", "ES256"], None),
    ],
)
def test_a_key_without_alg_is_for_the_only_one_that_fits(
    algorithms: list[str], expected: str | None
) -> None:
    """With both names the key would have two algorithms: it is not used, and the reason told."""
    jwks = {"keys": [bare(Key.generate("Ed25519"))]}
    body = json.dumps(jwks).encode()
    if expected is not None:
        [key] = KeySet.from_jwks(jwks, algorithms).keys
        [fetched] = read_published(body, algorithms, 8).keys
        assert key.alg == fetched.alg == expected
        return
    with pytest.raises(ConfigurationError, match="no alg"):
        KeySet.from_jwks(jwks, algorithms)
    with pytest.raises(InvalidKey, match="not exactly one"):
        read_published(body, algorithms, 8)


def test_an_issuer_that_publishes_one_name_and_signs_with_the_other_is_refused() -> None:
    """Also where both are listed; a pinned key can be trusted for both, by writing both."""
    signer = Key.generate("Ed25519", kid="k")
    token = make(signer, good_claims())
    published = {**bare(signer), "alg": "EdDSA"}
    with pytest.raises(UnknownKey):
        verifier(Key.from_jwk(published)).verify(token)
    with pytest.raises(InvalidKey, match="EdDSA"):
        Key.from_jwk(published, "Ed25519")
    both = [Key.from_jwk(bare(signer), alg) for alg in ("EdDSA", "Ed25519")]
    assert verifier(*both).verify(token).algorithm == "Ed25519"
    old = Key.from_jwk({**signer.private_jwk(), "alg": "EdDSA"})
    assert verifier(*both).verify(make(old, good_claims())).algorithm == "EdDSA"


def test_a_rotation_leads_from_one_name_to_the_other() -> None:
    """Tokens of the old key verify until they expire; the public set names each key's algorithm."""
    old, new = Key.generate("EdDSA"), Key.generate("Ed25519")
    keys = KeySet(rotate([old], new, NOW, lead=0, token_lifetime=900).keys)
    assert keys.signing_key(NOW + 1).alg == "Ed25519"
    assert [jwk["alg"] for jwk in keys.public_jwks()["keys"]] == ["EdDSA", "Ed25519"]
    again = KeySet.from_jwks(keys.public_jwks())
    for key in (old, new):
        assert verifier(*again.keys).verify(make(key, good_claims())).algorithm == key.alg


def test_the_example_of_rfc_8037_with_the_new_name() -> None:
    """Appendix A.4 has ``EdDSA`` in its header; with ``Ed25519`` there it is another signature."""
    payload = b"Example of Ed25519 signing"
    key = Key.from_jwk(RFC_8037, "Ed25519")
    theirs = OKPKey.import_key(RFC_8037)
    token = jws.serialize_compact({"alg": "Ed25519"}, payload, theirs, algorithms=["Ed25519"])
    signed, _, signature = token.rpartition(".")
    assert encode(key.sign(signed.encode())).decode() == signature
    assert key.verify(signed.encode(), decode(signature))
    eddsa = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    published = (
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )
    assert Key.from_jwk(RFC_8037, "EdDSA").verify(eddsa.encode(), decode(published))
    assert not key.verify(signed.encode(), decode(published))


def test_the_vector_of_rfc_8032_for_ed448() -> None:
    """The same bytes under both names, and no other length."""
    private = ed448.Ed448PrivateKey.from_private_bytes(bytes.fromhex(RFC_8032["secret"]))
    public = ed448.Ed448PublicKey.from_public_bytes(bytes.fromhex(RFC_8032["public"]))
    signature = bytes.fromhex(RFC_8032["signature"])
    for alg in ("Ed448", "EdDSA"):
        assert Key(private, alg).sign(b"") == signature
        key = Key(public, alg)
        assert key.verify(b"", signature)
        for wrong in (signature[:-1], signature + b"\0", signature[:64], bytes(114), b""):
            assert not key.verify(b"", wrong)
        for place in (0, 56, 57, 112, 113):
            changed = bytearray(signature)
            changed[place] ^= 1
            assert not key.verify(b"", bytes(changed))


@pytest.mark.parametrize(
    "alg", ["ED25519", "ed25519", "Ed25519ph", "Ed25519ctx", "EdDSA ", "X25519"]
)
def test_v1_similar_names_are_no_algorithms(alg: str) -> None:
    """Exact text: the variants with a prehash or a context are other signatures."""
    key = Key.generate("Ed25519", kid="k")
    token = make(key, good_claims(), {"alg": alg, "kid": "k", "typ": "at+jwt"})
    with pytest.raises(AlgorithmNotAllowed):
        verifier(key).verify(token)
    with pytest.raises(InvalidKey, match="unknown algorithm"):
        Key.from_jwk({**bare(key), "alg": alg})


def test_a_token_of_one_curve_is_none_of_the_other() -> None:
    """A signature of the other length, or by the other key, under a header with the right name."""
    short, long = Key.generate("Ed25519", kid="k"), Key.generate("Ed448", kid="k")
    for signer, other in ((short, long), (long, short)):
        header = {"alg": other.alg, "kid": "k", "typ": "at+jwt"}
        with pytest.raises(InvalidSignature):
            verifier(short, long).verify(make(signer, good_claims(), header))
        with pytest.raises(TokenError):
            verifier(other).verify(make(signer, good_claims()))


def test_the_commands_know_the_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`linqi keygen` makes and rotates such keys, and `linqi jwks` shows them as used."""
    out, public = tmp_path / "keys.json", tmp_path / "jwks.json"
    made = ["keygen", "--out", str(out), "--public-out", str(public)]
    assert main([*made, "--alg", "EdDSA"]) == 0
    for alg in ("Ed25519", "Ed448"):
        rotated = ["--rotate", "--alg", alg, "--lead-seconds", "0", "--token-lifetime-seconds", "1"]
        assert main([*made, *rotated]) == 0
    assert [key.alg for key in KeySet.load(out).keys] == NAMES
    capsys.readouterr()
    assert main(["jwks", str(public)]) == 0
    assert capsys.readouterr().out.count(" used") == 3
    bad = ["keygen", "--out", str(tmp_path / "x"), "--alg", "Ed448", "--curve", "Ed25519"]
    assert main(bad) != 0
    assert "unknown curve 'Ed25519' for Ed448" in capsys.readouterr().err


def test_the_lint_takes_a_key_without_alg_as_eddsa() -> None:
    """It tells that the verifier's configuration decides."""
    body = json.dumps({"keys": [bare(Key.generate("Ed25519"))]}).encode()
    found = lint(body, None)
    assert [line.verdict for line in found.keys] == ["used"]
