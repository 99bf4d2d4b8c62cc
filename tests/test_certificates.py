"""Key sets published as a map of key ids to certificates, as Firebase has them (J3, V16)."""

import json
from typing import Any

import pytest

from asgi import served
from certificates import certificate_of, private_pem_of, weak_certificate
from clock import FakeTime
from linqi import (
    ConfigurationError,
    JWTMiddleware,
    Key,
    RemoteKeys,
    RemoteLimits,
    Snapshot,
    Verifier,
)
from linqi.cli import main
from linqi.errors import InvalidKey, UnknownKey
from linqi.events import Event, KeySkipped
from linqi.jwks.lint import lint
from linqi.jwks.published import PublishedKeys, read_published
from linqi.testing import FakeIssuer
from tokens import NOW, good_claims, make, verified

RSA = Key.generate("RS256", kid="rsa")
SMALL = Key.generate("ES256", kid="ec")
URL = "https://certificates.test/x509"


def read(
    document: object, *, algorithms: tuple[str, ...] = ("RS256",), most: int = 64
) -> PublishedKeys:
    """Read a map at the instant `NOW`."""
    return read_published(json.dumps(document).encode(), algorithms, most, "certificates", NOW)


def test_a_map_read_as_a_jwks_names_the_setting() -> None:
    """Firebase's address without `keys_format`: the error says what is missing."""
    with pytest.raises(InvalidKey, match="set keys_format"):
        read_published(json.dumps({"rsa": certificate_of(RSA)}).encode(), ("RS256",), 64)
    with pytest.raises(InvalidKey, match=r'no "keys" array$'):
        read_published(b'{"rsa": "x"}', ("RS256",), 64)


def test_each_certificate_gives_the_public_key_of_its_kid() -> None:
    """Also a bare public key, as in the map of Google's IAP."""
    other = Key.generate("RS256", kid="other")
    found = read({"rsa": certificate_of(RSA), "other": other.public_pem()})
    assert [key.kid for key in found.keys] == ["rsa", "other"]
    assert all(one.is_same(key) for one, key in zip(found.keys, (RSA, other), strict=True))
    assert not any(key.can_sign for key in found.keys)
    assert not found.skipped


@pytest.mark.parametrize(
    ("entry", "reason", "is_fault"),
    [
        (certificate_of(RSA, ends_at=int(NOW)), "expired", True),
        (certificate_of(SMALL), "other_algorithm", False),
        (private_pem_of(RSA), "private", True),
        (certificate_of(RSA) * 2, "broken", True),
        (certificate_of(RSA).replace("M", "N", 1), "broken", True),
        ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "broken", True),
        ("", "broken", True),
        ("\ud800", "broken", True),
        (None, "broken", True),
        ({"x5c": []}, "broken", True),
    ],
)
def test_j3_an_entry_that_is_not_for_us_is_skipped_alone(
    entry: object, reason: str, is_fault: bool
) -> None:
    """J3, V16: an ended certificate too, because its publisher says that it does not count."""
    body = json.dumps({"bad": entry, "good": certificate_of(RSA)}).encode()
    if entry == "\ud800":  # a lone surrogate makes the whole text no strict JSON
        with pytest.raises(InvalidKey, match="strict JSON"):
            read_published(body, ["RS256"], 64, "certificates", NOW)
        return
    found = read_published(body, ["RS256"], 64, "certificates", NOW)
    assert [key.kid for key in found.keys] == ["good"]
    (skipped,) = found.skipped
    assert (skipped.kid, skipped.reason, skipped.is_fault) == ("bad", reason, is_fault)


@pytest.mark.parametrize("kid", ["", "k" * 257, "a\nb"])
def test_j3_the_name_of_an_entry_is_a_key_id(kid: str) -> None:
    """V5: bounded, and safe to log."""
    found = read({kid: certificate_of(RSA), "good": certificate_of(RSA)})
    assert [key.kid for key in found.keys] == ["good"]
    assert found.skipped[0].reason == "broken"


def test_v16_a_weak_key_in_a_certificate_is_refused() -> None:
    """The strength of a key does not depend on the form in which it is published."""
    found = read({"weak": weak_certificate(), "good": certificate_of(RSA)})
    assert [key.kid for key in found.keys] == ["good"]
    assert "1024 bits" in found.skipped[0].detail


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b'{"a": 1, "a": 2}', "twice"),
        (b"[]", "no"),
        (b'{"keys": []}', "JWKS"),
        (b"{}", "empty"),
        (json.dumps({str(n): "" for n in range(9)}).encode(), "at most 8"),
        (json.dumps({"a": "x"}).encode(), "none of the 1 keys"),
    ],
)
def test_j3_a_document_of_another_form_is_no_key_set(body: bytes, fault: str) -> None:
    """Nothing is guessed: a JWKS is not read as a map, and the number is bounded."""
    with pytest.raises(InvalidKey, match=fault):
        read_published(body, ["RS256"], 8, "certificates", NOW)


def test_a_map_is_not_found_by_discovery() -> None:
    """A ``jwks_uri`` is a JWKS, so a map needs its own URL; other formats do not exist."""
    with pytest.raises(ConfigurationError, match="url="):
        RemoteKeys("https://id.test", ["RS256"], keys_format="certificates")
    with pytest.raises(ConfigurationError, match="jwks or certificates"):
        RemoteKeys("https://id.test", ["RS256"], keys_format="pem")  # type: ignore[arg-type]


class Publisher:
    """An ASGI server of a map, with the headers of Google's."""

    def __init__(self) -> None:
        self.document: Any = {"rsa": certificate_of(RSA)}
        self.asked: list[dict[bytes, bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer with the map."""
        if scope["type"] != "http":
            return
        self.asked.append(dict(scope["headers"]))
        headers = [
            (b"content-type", b"application/json; charset=UTF-8"),
            (b"cache-control", b"public, max-age=120, must-revalidate, no-transform"),
            (b"etag", b'"one"'),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(self.document).encode()})


async def test_tokens_of_a_served_map_verify_and_rotate() -> None:
    """Over HTTP: Cache-Control, one fetch for a new kid, bounds, snapshots, ended certificates."""
    publisher, seen = Publisher(), list[Event]()
    async with served(publisher) as port:
        keys = RemoteKeys(
            "https://securetoken.google.com/PROJECT",
            ["RS256"],
            url=f"http://127.0.0.1:{port}/x509",
            keys_format="certificates",
            limits=RemoteLimits(max_keys=4),
            hooks=[seen.append],
            **FakeTime().options | {"clock": lambda: NOW},
        )
        verifier = Verifier(keys.trust("PROJECT"), cache=None, clock=lambda: NOW)
        claims = good_claims(iss=keys.issuer, aud="PROJECT")
        await keys.start()
        assert verifier.verify(make(RSA, claims, {"alg": "RS256", "kid": "rsa"})).subject == "alice"
        assert keys.state().trusted_for == 120 + 3600
        new = Key.generate("RS256", kid="new")
        publisher.document = {
            "rsa": certificate_of(RSA, ends_at=NOW - 60),
            "new": certificate_of(new),
        }
        token = make(new, claims, {"alg": "RS256", "kid": "new"})
        assert (await verified(verifier, token)).key_id == "new"
        assert b"if-none-match" not in publisher.asked[-1]
        with pytest.raises(UnknownKey):
            verifier.verify(make(RSA, claims, {"alg": "RS256", "kid": "rsa"}))
        assert [(e.kid, e.reason) for e in seen if isinstance(e, KeySkipped)] == [
            ("rsa", "expired")
        ]
        saved = keys.snapshot()
        await keys.close()
    assert saved
    again = RemoteKeys(
        keys.issuer,
        ["RS256"],
        url=keys.location.url,
        keys_format="certificates",
        initial=Snapshot.from_json(saved.to_json()),
        clock=lambda: NOW,
    )
    assert again.find("RS256", "new").is_same(new.public_half())


def test_the_lint_shows_certificates_as_keys() -> None:
    """Size and verdict of each, and the ended one as a fault."""
    document = {"rsa": certificate_of(RSA), "old": certificate_of(RSA, ends_at=NOW)}
    body = json.dumps(document).encode()
    found = lint(body, None, keys_format="certificates", now=NOW)
    assert [(k.kid, k.kty, k.size, k.verdict) for k in found.keys] == [
        ("rsa", "RSA", "2048 bit", "used"),
        ("old", "", "", "expired"),
    ]
    assert [f.level for f in found.findings] == ["fault"]
    assert lint(body, None, now=NOW).has_faults  # as a JWKS it has no keys


def test_the_command_shows_a_map_of_certificates(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """``linqi jwks --keys-format certificates FILE``."""
    path = tmp_path / "x509.json"
    path.write_text(json.dumps({"rsa": certificate_of(RSA, ends_at=4_000_000_000)}))
    assert main(["jwks", str(path), "--keys-format", "certificates"]) == 0
    assert "2048 bit  used" in capsys.readouterr().out
    assert main(["jwks", str(path)]) == 1


def test_a_fake_issuer_publishes_in_the_format_of_the_application() -> None:
    """A test of an application with Firebase needs no certificates of its own."""
    keys = RemoteKeys("https://id.test", ["RS256"], url=URL, keys_format="certificates")
    app = JWTMiddleware(publisher_of_nothing, Verifier(keys.trust("api")))
    fake = FakeIssuer(alg="RS256").attach(app)
    body = fake.answer(URL, {}).body
    assert read_published(body, ["RS256"], 4, "certificates").keys[0].is_same(fake.key)


async def publisher_of_nothing(scope: Any, receive: Any, send: Any) -> None:
    """Answer nothing."""
