"""PEM keys from files and environment variables: read, or refused with the fault."""

import base64
import contextlib
import json
from typing import Final

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from linqi import Key
from linqi.config.key_material import keys_of_text
from linqi.errors import ConfigurationError, InvalidKey
from linqi.jose._pem import holds_pem, key_block

CURVE = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = CURVE.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()
SEC1 = CURVE.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.TraditionalOpenSSL,
    serialization.NoEncryption(),
).decode()
PUBLIC = (
    CURVE.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
RSA_PRIVATE = RSA.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()
PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
ONE_LINE: Final = PRIVATE.replace("\n", "\\n")

SPELLINGS = {
    "as it stands": PRIVATE,
    "literal line breaks": ONE_LINE,
    "doubly escaped": PRIVATE.replace("\n", "\\\\n"),
    "escaped CR LF": PRIVATE.replace("\n", "\\r\\n"),
    "CR LF": PRIVATE.replace("\n", "\r\n"),
    "double quotes": f'"{PRIVATE}"',
    "single quotes": f"'{ONE_LINE}'",
    "quotes within quotes": f"\"'{ONE_LINE}'\"",
    "name before": f"PRIVATE_KEY={ONE_LINE}",
    "spaces for line breaks": PRIVATE.strip().replace("\n", " "),
    "no line breaks": PRIVATE.strip().replace("\n", ""),
    "indented": "\n".join("    " + line for line in PRIVATE.splitlines()),
    "white space before": f"\n\t {PRIVATE}\n\n",
    "byte order mark": f"\ufeff{PRIVATE}",
    "bag attributes": f"Bag Attributes\n    friendlyName: caf\u00e9\n{PRIVATE}",
    "openssl ecparam": PARAMETERS + SEC1,
    "certificate after": PRIVATE + CERTIFICATE,
    "certificate before": CERTIFICATE + PRIVATE,
    "with its public half": PUBLIC + PRIVATE,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_pem_is_read_however_a_variable_spells_it(spelling: str) -> None:
    """The key is the same, and can sign."""
    key = Key.from_pem(SPELLINGS[spelling], "ES256")
    assert key.can_sign
    assert key.thumbprint == Key.from_pem(PUBLIC, "ES256").thumbprint
    if spelling != "byte order mark":  # a variable holds ASCII
        assert keys_of_text(SPELLINGS[spelling].strip(), "ES256").keys[0].thumbprint


@pytest.mark.parametrize(
    ("pem", "says"),
    [
        ("", "no line '-----BEGIN"),
        ("MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQ", "no line '-----BEGIN"),
        ("-----BEGIN PRIVATE KEY-----", "without '-----END PRIVATE KEY-----': it was cut off"),
        (PRIVATE[:100], "cut off"),
        (PRIVATE.replace("END PRIVATE", "END PUBLIC"), "without '-----END PRIVATE KEY-----'"),
        ("-----BEGIN PUBLIC KEY-----\n\n-----END PUBLIC KEY-----", "nothing between"),
        (PRIVATE[:60] + PRIVATE[61:], "no multiple of 4: some are missing"),
        (PRIVATE[:60] + "..." + PRIVATE[61:], "'.' in its PRIVATE KEY, character 33"),
        (PRIVATE[:60] + "\\" + PRIVATE[61:], "which is no base64"),
        (CERTIFICATE, "no certificate and no public key"),
        (CERTIFICATE + PRIVATE.replace("PRIVATE", "OPENSSH PRIVATE"), "ssh-keygen -p -m PKCS8"),
        (PARAMETERS, "holds a EC PARAMETERS and no key"),
        (PRIVATE.replace("PRIVATE", "OPENSSH PRIVATE"), "ssh-keygen -p -m PKCS8"),
        (PRIVATE + RSA_PRIVATE, "holds 2 keys"),
        (PUBLIC + PUBLIC, "holds 2 keys"),
        (base64.b64encode(PRIVATE.encode()).decode(), "encoded in base64 as a whole"),
        (RSA_PRIVATE, "a key of type RSA, ES256 needs EC"),
        (PRIVATE.encode("utf-16").decode("latin-1"), "no line|UTF-16|binary"),
    ],
    ids=[
        *("empty", "body only", "first line only", "cut", "other end", "no body", "short", "dots"),
        *(
            "backslash",
            "certificate",
            "openssh beside one",
            "parameters",
            "openssh",
            "two private",
            "two public",
        ),
        *("base64", "other type", "utf-16"),
    ],
)
def test_a_pem_that_cannot_be_read_is_refused_for_what_is_wrong(pem: str, says: str) -> None:
    """The message names the fault and never shows the key."""
    with pytest.raises(InvalidKey, match=says) as caught:
        Key.from_pem(pem, "ES256")
    assert not any(line in str(caught.value) for line in PRIVATE.splitlines()[1:-1])


def test_a_pem_in_another_encoding_is_named_so() -> None:
    """UTF-16, as some shells write files, and DER."""
    with pytest.raises(InvalidKey, match="is UTF-16, not text"):
        Key.from_pem(PRIVATE.encode("utf-16"), "ES256")
    der = CURVE.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(InvalidKey, match="binary"):
        Key.from_pem(der, "ES256")


def test_an_encrypted_pem_keeps_its_header_fields() -> None:
    """The older form says in fields how it is encrypted (RFC 1421); the newer has none."""
    for form in (
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.PrivateFormat.PKCS8,
    ):
        pem = RSA.private_bytes(
            serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"word")
        )
        assert Key.from_pem(pem, "RS256", password=b"word").can_sign
        with pytest.raises(InvalidKey, match=r"Password was not given"):
            Key.from_pem(pem, "RS256")


@pytest.mark.parametrize("pem", [PUBLIC, PRIVATE], ids=["public", "private"])
@pytest.mark.parametrize(
    "spelled",
    [
        lambda pem: pem,
        lambda pem: " \n" + pem,
        lambda pem: f'"{pem}"',
        lambda pem: pem.replace("\n", "\\n"),
        lambda pem: "KEY=" + pem.replace("\n", ""),
        lambda pem: base64.b64encode(pem.encode()).decode(),
        lambda pem: '"' + base64.b64encode(pem.encode()).decode() + '"',
    ],
)
def test_cve_2026_34950_a_pem_with_text_around_it_is_no_secret(pem: str, spelled: object) -> None:
    """V16: accepted as an HMAC secret, it lets everyone with the public key sign."""
    text = spelled(pem)  # type: ignore[operator]
    assert holds_pem(text)
    with pytest.raises(InvalidKey):
        Key.from_secret(text, "HS256")
    with pytest.raises((InvalidKey, ConfigurationError), match="set algorithm beside it"):
        keys_of_text(text)


@pytest.mark.parametrize("around", ["{}", "'{}'", '"{}"', " {} "])
def test_v16_a_jwk_with_text_around_it_is_no_secret(around: str) -> None:
    """In a variable it is read as the kind of key that it is."""
    jwk = json.dumps(Key.generate("ES256").public_jwk())
    with pytest.raises(InvalidKey):
        Key.from_secret(around.replace("{}", jwk), "HS256")
    for text in (jwk, json.dumps({"keys": [json.loads(jwk)]})):
        assert keys_of_text(around.replace("{}", text).strip()).keys[0].alg == "ES256"


@given(st.binary(max_size=200), st.sampled_from([b"", PRIVATE.encode(), PUBLIC[:60].encode()]))
def test_v17_nothing_else_is_raised(noise: bytes, pem: bytes) -> None:
    """Any file content gives a key or `InvalidKey`."""
    for data in (noise + pem, pem + noise):
        with contextlib.suppress(InvalidKey):
            assert key_block(data).startswith(b"-----BEGIN ")
