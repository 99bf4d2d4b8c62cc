"""A certificate gives its public key: trusted because it was configured, not by X.509."""

import datetime
import logging
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.x509.oid import NameOID

from asgi import App, call, http
from linqi import Key, KeySet, TrustedIssuer, Verifier
from linqi.cli import main
from linqi.config import load, wrap
from linqi.config.checker import check
from linqi.config.findings import Finding
from linqi.config.key_material import certificate_end, keys_of_text
from linqi.errors import ConfigurationError, InvalidKey
from tokens import AUDIENCE, ISSUER, NOW, good_claims, make

CURVE, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED = ed25519.Ed25519PrivateKey.generate()


def certificate(key: Any, signer: Any = None, *, days: float = 30, name: str = "issuer") -> str:
    """Return a certificate of the public half of `key` that ends so many days after `NOW`."""
    start = datetime.datetime.fromtimestamp(int(NOW), datetime.UTC)
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = signer or key
    built = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(called)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start - datetime.timedelta(days=15_000))
        .not_valid_after(start + datetime.timedelta(days=days))
        .sign(signer, None if signer is ED else hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode()


def private(key: Any) -> str:
    """Return a private key as PEM."""
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode()


def public(key: Any) -> str:
    """Return a public key as PEM."""
    pem: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode()


LEAF, AUTHORITY = certificate(CURVE, OTHER), certificate(OTHER, name="authority")
ENDED = certificate(CURVE, days=-1)


@pytest.mark.parametrize(
    ("key", "alg"), [(CURVE, "ES256"), (RSA, "RS256"), (RSA, "PS256"), (ED, "Ed25519")]
)
def test_a_certificate_gives_its_public_key(key: Any, alg: str) -> None:
    """The same key as that of a public PEM, with its thumbprint as key id, or a given one."""
    found = Key.from_pem(certificate(key), alg)
    assert not found.can_sign
    assert not found.is_named
    assert (found.thumbprint, found.kid) == (
        Key.from_pem(public(key), alg).thumbprint,
        Key.from_pem(private(key), alg).kid,
    )
    named = Key.from_pem(certificate(key), alg, kid="2026-11")
    token = make(Key.from_pem(private(key), alg, kid="2026-11"), good_claims())
    trusted = TrustedIssuer(
        issuer=ISSUER, audience=AUDIENCE, keys=KeySet([named]), algorithms=[alg]
    )
    assert Verifier(trusted, clock=lambda: NOW).verify(token).key_id == "2026-11"


@pytest.mark.parametrize(
    "spelled",
    [
        LEAF + AUTHORITY,
        LEAF.replace("\n", "\\n") + AUTHORITY,
        f'"{LEAF.strip()}"'.replace("\n", " "),
        f"Bag Attributes\n    friendlyName: caf\u00e9\n{LEAF}{AUTHORITY}",
        "\ufeff" + LEAF.replace("\n", "\r\n"),
        LEAF + "-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n",
    ],
    ids=["chain", "escaped", "spaces", "attributes", "windows", "revocation list"],
)
def test_of_a_chain_the_first_certificate_counts(spelled: str) -> None:
    """However a file or a variable spells it."""
    assert Key.from_pem(spelled, "ES256").thumbprint == Key(CURVE, "ES256").thumbprint


def test_a_key_beside_a_certificate_is_the_key() -> None:
    """Whatever the order: a private key signs, and a public key is not the certificate's."""
    for pem in (AUTHORITY + private(CURVE), private(CURVE) + AUTHORITY):
        key = Key.from_pem(pem, "ES256")
        assert key.can_sign
        assert key.thumbprint == Key(CURVE, "ES256").thumbprint
    for pem in (AUTHORITY + public(CURVE), public(CURVE) + AUTHORITY):
        assert Key.from_pem(pem, "ES256").thumbprint == Key(CURVE, "ES256").thumbprint
    unreadable = private(CURVE).replace("PRIVATE KEY", "OPENSSH PRIVATE KEY")
    for pem in (LEAF + unreadable, unreadable + LEAF):
        with pytest.raises(InvalidKey, match="OPENSSH"):
            Key.from_pem(pem, "ES256")


def test_v16_the_key_of_a_certificate_is_checked_as_any_other() -> None:
    """Type, curve and strength; what is no certificate is told without its content."""
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - it is refused
    with pytest.raises(InvalidKey, match="1024 bits"):
        Key.from_pem(certificate(weak), "RS256")
    with pytest.raises(InvalidKey, match="type EC, RS256 needs RSA"):
        Key.from_pem(LEAF, "RS256")
    with pytest.raises(InvalidKey, match="expected secp384r1"):
        Key.from_pem(LEAF, "ES384")
    with pytest.raises(InvalidKey, match="not a key for Ed448"):
        Key.from_pem(certificate(ED), "Ed448")
    with pytest.raises(InvalidKey, match=r"X25519\w*, Ed25519 needs OKP"):
        Key.from_pem(certificate(x25519.X25519PrivateKey.generate(), OTHER), "Ed25519")
    with pytest.raises(InvalidKey, match="x509 certificate"):
        Key.from_secret(LEAF)
    cut = LEAF[:200] + LEAF[204:]
    for broken in (cut, LEAF.replace("MII", "AAA", 1), LEAF[:100]):
        with pytest.raises(InvalidKey) as caught:
            Key.from_pem(broken, "ES256")
        assert LEAF.splitlines()[3] not in str(caught.value)


def test_dates_names_and_signatures_of_a_certificate_decide_nothing() -> None:
    """The key is trusted by configuration, as one without a certificate is."""
    for pem in (ENDED, certificate(CURVE, OTHER, name="evil"), LEAF):
        assert Key.from_pem(pem, "ES256").is_same(Key.from_pem(LEAF, "ES256"))
    assert certificate_end(ENDED.encode()) == int(NOW) - 86_400
    assert certificate_end((ENDED + private(CURVE)).encode()) == float("inf")
    assert certificate_end(b"a secret") == float("inf")


def written(folder: Path, pem: str, algorithms: str = '["ES256"]', more: str = "") -> Path:
    """Write a configuration that trusts the key of a file."""
    (folder / "issuer.crt").write_text(pem)
    (folder / "linqi.toml").write_text(
        f'[[issuers]]\nissuer = "{ISSUER}"\naudience = ["{AUDIENCE}"]\n'
        f'algorithms = {algorithms}\nkeys_file = "issuer.crt"\n{more}'
    )
    return folder / "linqi.toml"


async def test_a_configuration_names_a_certificate(tmp_path: Path) -> None:
    """By a file or a variable, for the only algorithm of the table."""
    token = make(Key(CURVE, "ES256"), good_claims())
    foreign = make(Key(OTHER, "ES256"), good_claims())
    file = written(tmp_path, LEAF + AUTHORITY)
    for path, environ in ((file, {}), (None, {"ISSUER_CERT": LEAF.replace("\n", "\\n")})):
        if path is None:
            path = tmp_path / "linqi.toml"
            path.write_text(file.read_text().replace("keys_file", "keys_env", 1))
            path.write_text(path.read_text().replace('"issuer.crt"', '"ISSUER_CERT"'))
        config = load(path, environ)
        assert config.issuers[0].algorithms == ("ES256",)
        wrapped = wrap(App(), path, environ=environ, clock=lambda: NOW, hooks=[])
        assert (await call(wrapped, http(token=token))).status == 200
        assert (await call(wrapped, http(token=foreign))).status == 401
    with pytest.raises(ConfigurationError, match="list one in algorithms"):
        wrap(App(), written(tmp_path, LEAF, '["ES256", "ES384"]'), environ={}, hooks=[])
    assert keys_of_text(LEAF, "ES256").keys[0].kid == Key(CURVE, "ES256").kid


def ends(path: Path, **options: bool) -> list[Finding]:
    """Return what `linqi check` tells of certificates that have ended."""
    found = check(path, {}, **options).findings
    return [finding for finding in found if finding.code == "certificate-expired"]


def test_check_tells_of_a_certificate_that_has_ended(tmp_path: Path) -> None:
    """A warning with the day; none before, none for a key, and none where keys are not read."""
    ended = certificate(CURVE, days=-9000)
    for pem, expected in ((ended, 1), (LEAF, 0), (public(CURVE), 0), (public(CURVE) + ended, 0)):
        path = written(tmp_path, pem)
        found = [f for f in check(path, {}).findings if f.code == "certificate-expired"]
        assert len(found) == expected
        assert not any(
            f.code == "certificate-expired" for f in check(path, {}, reads_keys=False).findings
        )
    path = written(tmp_path, ended)
    [finding] = [f for f in check(path, {}).findings if f.code == "certificate-expired"]
    assert (finding.table, finding.key, finding.severity) == ("issuers.0", "keys_file", "warning")
    assert "2002-05-2" in finding.reason


def test_a_certificate_cannot_sign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the file of the own keys it is refused, with what is missing."""
    (tmp_path / "own.crt").write_text(LEAF)
    (tmp_path / "linqi.toml").write_text(
        f'[verify]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\n'
        '[keys]\nfile = "own.crt"\nalgorithm = "ES256"\n'
    )
    assert main(["check", str(tmp_path / "linqi.toml")]) == 1
    assert "No key of the set can sign" in capsys.readouterr().out


def test_v17_no_certificate_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The library warns of odd certificates; nothing of them reaches the log."""
    caplog.set_level(logging.DEBUG)
    Key.from_pem(LEAF, "ES256")
    assert not caplog.records
