"""Tokens of AWS load balancers: padded, of one signer, in one spelling (V4, V6, V7, V10)."""

import base64
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alb import CLIENT, ISSUER, KID, OTHER_SIGNER, SIGNER, alb_token, padded
from linqi import (
    ANY_AUDIENCE,
    ConfigurationError,
    Key,
    KeySet,
    TrustedIssuer,
    VerifiedCache,
    Verifier,
)
from linqi.asgi.off_loop import OffLoop
from linqi.cli import main
from linqi.errors import (
    AlgorithmNotAllowed,
    InvalidClaim,
    InvalidSignature,
    MalformedToken,
    MissingClaim,
    TokenError,
    TokenExpired,
    UnknownKey,
)
from linqi.jose._compact import split_any, split_token
from tokens import ISSUER as OTHER_ISSUER
from tokens import NOW, good_claims, make, verifier_of

KEY = Key.generate("ES256", kid=KID)
OTHER = Key.generate("ES256", kid="other")


def trusted(audience: Any = CLIENT, **options: Any) -> TrustedIssuer:
    """Return the issuer whose users the load balancer signs in."""
    chosen = {"alb_signer": SIGNER, "keys": KeySet([KEY]), "algorithms": ["ES256"]} | options
    return TrustedIssuer(issuer=ISSUER, audience=audience, **chosen)


def verifier(**options: Any) -> Verifier:
    """Return a verifier of the load balancer and of an issuer beside it, at `NOW`."""
    other = TrustedIssuer(
        issuer=OTHER_ISSUER, audience="api", keys=KeySet([OTHER]), algorithms=["ES256"]
    )
    return Verifier([trusted(), other], **{"clock": lambda: NOW} | options)


def unpadded(data: bytes) -> bytes:
    """Return base64url as the standard has it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def test_a_token_of_the_load_balancer_is_verified_as_it_is() -> None:
    """The signature covers the padding; issuer, end and user are those of the payload."""
    token = alb_token(KEY)
    assert token.endswith("==")
    found = verifier().verify(token)
    assert (found.issuer, found.key_id) == (ISSUER, KID)
    assert found.claims["email"] == "alice@shop.example"
    assert found.expires_at == int(NOW) + 120
    assert found.digest == hashlib.sha256(token.encode()).digest()


@pytest.mark.parametrize("size", range(3))
def test_v10_each_length_of_padding_is_read(size: int) -> None:
    """Header and payload have no, one or two characters of it."""
    for place in ("header", "payload"):
        token = alb_token(KEY, **{place: {"x": "." * size}})
        assert verifier(cache=None).verify(token).subject


def spellings(token: str) -> list[str]:
    """Return other spellings of the same bytes."""
    header, payload, signature = token.split(".")
    bare = [part.rstrip("=") for part in (header, payload, signature)]
    last = bare[2][-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = bare[2][:-1] + alphabet[alphabet.index(last) | 1] + "=="
    return [
        ".".join(bare),
        f"{header}.{payload}.{bare[2]}",
        f"{header}.{payload}.{bare[2]}=",
        f"{header}.{payload}.{signature}=",
        f"{header}.{payload}.{signature}==",
        f"{header}.{payload}.{signature}====",
        f"{header}====.{payload}.{signature}",
        f"{header}=.{payload}.{signature}",
        f"{header}.{payload}==.{signature}",
        f"={header}.{payload}.{signature}",
        f"{header}.{payload}.{twin}",
        f"{header}.{payload}.{signature}\n",
        f"{header}.{payload}.{signature[:-2]}%3D%3D",
        token.replace("-", "+").replace("_", "/") + "+",
    ]


def test_v10_a_padded_token_has_one_spelling() -> None:
    """V10, K1, K7: a second spelling would be a second cache key, which no revocation meets."""
    known = verifier()
    token = alb_token(KEY)
    known.verify(token)
    for other in spellings(token):
        assert other != token
        with pytest.raises(MalformedToken):
            known.verify(other)


def test_v10_padding_is_for_load_balancers_only() -> None:
    """Also where header and payload need none, so that the signature covers the same text."""
    claims = good_claims()
    found = 0
    for size in range(9):
        head = {"alg": "ES256", "kid": "other", "y": "." * (size // 3)}
        token = make(OTHER, claims | {"x": "." * (size % 3)}, head)
        header, payload, signature = token.split(".")
        known = verifier()
        known.verify(token)
        if len(header) % 4 == len(payload) % 4 == 0:
            found += 1
            with pytest.raises(MalformedToken, match="no load balancer"):
                known.verify(f"{token}==")
        with pytest.raises(TokenError):
            known.verify(".".join(part + "=" * (-len(part) % 4) for part in token.split(".")))
        assert len(signature) == 86
    assert found
    with pytest.raises(MalformedToken, match="outside base64url"):
        verifier_of(OTHER).verify(alb_token(OTHER))


def test_v10_the_load_balancers_token_must_be_padded() -> None:
    """What an identity provider signs itself, even by that key, is not from the load balancer."""
    with pytest.raises(MalformedToken, match="not padded"):
        verifier().verify(alb_token(KEY, encode=unpadded))


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ({"signer": OTHER_SIGNER}, InvalidClaim),
        ({"signer": SIGNER.upper()}, InvalidClaim),
        ({"signer": SIGNER + "/"}, InvalidClaim),
        ({"signer": [SIGNER]}, InvalidClaim),
        ({"signer": ...}, MissingClaim),
        ({"client": "another-client"}, InvalidClaim),
        ({"client": [CLIENT]}, InvalidClaim),
        ({"client": ...}, MissingClaim),
        ({"exp": int(NOW) + 3600}, InvalidClaim),
        ({"exp": float(int(NOW) + 120)}, InvalidClaim),
        ({"iss": OTHER_ISSUER}, InvalidClaim),
        ({"alg": "HS256"}, TokenError),
        ({"alg": "none"}, AlgorithmNotAllowed),
        ({"kid": "aa40cd4a-4ba2-4293-bfe3-d3ff2ebf81ab"}, UnknownKey),
        ({"crit": ["exp"]}, TokenError),
    ],
)
def test_v6_v7_the_header_names_our_load_balancer_and_client(
    header: dict[str, Any], error: type[TokenError]
) -> None:
    """All load balancers of a region have the same keys: the signer alone tells whose it is."""
    with pytest.raises(error):
        verifier().verify(alb_token(KEY, header=header))


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"exp": int(NOW)}, InvalidClaim),
        ({"exp": ...}, TokenError),
        ({"iss": ...}, MissingClaim),
        ({"iss": OTHER_ISSUER}, TokenError),
    ],
)
def test_v12_issuer_and_end_are_those_of_the_payload(
    payload: dict[str, Any], error: type[TokenError]
) -> None:
    """RFC 7519, section 5.3: copies in the header decide nothing, and must not differ."""
    with pytest.raises(error):
        verifier().verify(alb_token(KEY, payload=payload))


def test_v12_an_expired_token_is_refused() -> None:
    """At the exact second, as any other; also from the cache."""
    now = [NOW]
    known = verifier(clock=lambda: now[0])
    token = alb_token(KEY)
    known.verify(token)
    now[0] = int(NOW) + 120
    for each in (known, verifier(clock=lambda: now[0])):
        with pytest.raises(TokenExpired):
            each.verify(token)


def test_v4_a_signature_of_another_key_is_refused() -> None:
    """A key in the header, or one of the issuer beside it, verifies nothing here."""
    thief = Key.generate("ES256", kid=KID)
    with pytest.raises(InvalidSignature):
        verifier().verify(alb_token(thief, header={"jwk": thief.public_jwk()}))
    with pytest.raises(UnknownKey):
        verifier().verify(alb_token(OTHER, header={"kid": "other"}))


def test_v4_a_header_that_one_issuer_used_opens_no_other() -> None:
    """A padded header segment is never taken for the same characters of an unpadded one."""
    cache = VerifiedCache()
    known = verifier(cache=cache)
    for size in range(3):  # once the header needs no padding
        extra = {"y": "." * size, "signer": SIGNER, "client": CLIENT, "typ": "JWT"}
        plain = make(OTHER, good_claims(), {"kid": KID, "alg": "ES256"} | extra)
        with pytest.raises(UnknownKey):
            known.verify(plain)
        for _ in range(3):  # a known header, if it were kept
            known.verify(alb_token(KEY, header=extra, payload={"n": size}))
        same = alb_token(KEY, header=extra).split(".")[0].rstrip("=")
        forged = same + plain[plain.index(".") :]
        with pytest.raises(TokenError):
            known.verify(forged)


async def test_the_signature_may_be_checked_in_a_thread() -> None:
    """The same checks, where verification runs off the loop."""
    off_loop = OffLoop(verifier(), ["ES256"])
    token = alb_token(KEY)
    assert (await off_loop.verify(token.encode())).subject
    with pytest.raises(InvalidClaim):
        await off_loop.verify(alb_token(KEY, header={"signer": OTHER_SIGNER}).encode())
    with pytest.raises(MalformedToken):
        await off_loop.verify(token.rstrip("=").encode())
    await off_loop.close()


def test_several_load_balancers_and_any_client_by_name() -> None:
    """A list of ARNs; ANY_AUDIENCE for the clients of a load balancer, never for signers."""
    both = Verifier(
        trusted(ANY_AUDIENCE, alb_signer=[SIGNER, OTHER_SIGNER]), cache=None, clock=lambda: NOW
    )
    for header in ({"signer": OTHER_SIGNER}, {"client": "x"}):
        assert both.verify(alb_token(KEY, header=header)).subject
    with pytest.raises(InvalidClaim):
        both.verify(alb_token(KEY, header={"signer": OTHER_SIGNER + "0"}))


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"alb_signer": "shop"}, "no ARN"),
        ({"alb_signer": []}, "neither"),
        ({"alb_signer": [SIGNER, 7]}, "no ARN"),
        ({"alb_signer": SIGNER.replace("/app/", "/net/")}, "no ARN"),
        ({"algorithms": ["RS256"]}, "ES256"),
        ({"algorithms": ["ES256", "ES384"]}, "ES256"),
        ({"own": True}, "own issuer"),
    ],
)
def test_a_load_balancer_is_named_exactly(options: dict[str, Any], fault: str) -> None:
    """What cannot be a load balancer is a fault at construction."""
    keys = KeySet([Key.generate(options.get("algorithms", ["ES256"])[0])])
    with pytest.raises(ConfigurationError, match=fault):
        trusted(**{"keys": keys} | options)


@given(st.binary(max_size=12), st.binary(max_size=12), st.binary(max_size=12), st.data())
def test_v10_only_the_canonical_padding_is_split(
    first: bytes, second: bytes, third: bytes, data: st.DataObject
) -> None:
    """Of all ways to pad three segments one passes; unpadded text is split as before."""
    parts = [first or b"a", second or b"b", third or b"c"]
    bare = [unpadded(part) for part in parts]
    padding = [b"=" * data.draw(st.integers(0, 6)) for _ in parts]
    token = b".".join(text + more for text, more in zip(bare, padding, strict=True))
    wanted = b".".join(padded(part) for part in parts)
    if not any(padding):
        assert split_any(token, 999) == split_token(token, 999)
    elif token == wanted:
        signed, header, *rest = split_any(token, 999)
        assert (signed, header, rest) == (wanted.rpartition(b".")[0], bare[0] + b".", bare[1:])
    else:
        with pytest.raises(MalformedToken):
            split_any(token, 999)


def test_the_command_shows_a_padded_token(capsys: pytest.CaptureFixture[str]) -> None:
    """``linqi inspect`` names the signer and the client, which the settings need."""
    assert main(["inspect", alb_token(KEY)]) == 0
    shown = capsys.readouterr()
    assert SIGNER in shown.out
    assert "alb_signer" in shown.err


def test_a_header_that_was_verified_before_is_compared_with_each_payload() -> None:
    """Tokens with one header are read the long way, so that each payload is compared with it."""
    verifier = Verifier(trusted(), cache=None, clock=lambda: NOW)

    def compact(data: bytes) -> bytes:
        return padded(data.replace(b": ", b":").replace(b", ", b","))

    for _ in range(4):
        assert verifier.verify(alb_token(KEY, encode=compact)).subject
    with pytest.raises(InvalidClaim, match="exp"):
        verifier.verify(alb_token(KEY, payload={"exp": int(NOW) + 3600}, encode=compact))
