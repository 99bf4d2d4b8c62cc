"""Verification: the rules for tokens (V1 to V20), and for cached ones."""

import base64
import contextlib
import gc
import hashlib
import json
import pickle
from types import FunctionType, ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clock import FakeClock
from linqi import (
    ANY_AUDIENCE,
    ConfigurationError,
    Key,
    KeySet,
    SlidingRenewal,
    TokenError,
    TokenLimits,
    TrustedIssuer,
    Verified,
    VerifiedCache,
    Verifier,
)
from linqi._base64url import encode as encode_segment
from linqi.errors import (
    AlgorithmNotAllowed,
    BoundToken,
    InvalidClaim,
    InvalidSignature,
    MalformedToken,
    MissingClaim,
    TokenExpired,
    TokenNotYetValid,
    TokenRevoked,
    Unavailable,
    UnknownIssuer,
    UnknownKey,
    UnsupportedToken,
)
from linqi.events import RevocationFailed
from tokens import AUDIENCE, ISSUER, NOW, good_claims, make, signer_of, verifier_of

KEY = Key.generate("ES256")
SECRET = Key.generate("HS256")
GOOD = make(KEY, good_claims())


def test_a_good_token_becomes_a_verified_value() -> None:
    """The value has the registered claims, all claims, and Starlette's shape."""
    verified = verifier_of(KEY).verify(GOOD)
    assert verified.subject == verified.identity == verified.display_name == "alice"
    assert verified.issuer == ISSUER
    assert (verified.session_id, verified.token_id) == ("session-1", "token-1")
    assert verified.scopes == ("read", "write")
    assert verified.is_authenticated
    assert (verified.algorithm, verified.key_id) == ("ES256", KEY.kid)
    assert dict(verified.claims) == good_claims()
    assert verifier_of(KEY).verify(GOOD.encode()) == verified


@pytest.mark.parametrize(
    "algorithms", [[], "ES256", None, ["none"], ["ES999"], ["HS256", "ES256"], [""]]
)
def test_v1_v3_algorithms_are_a_list_of_known_names_of_one_kind(algorithms: Any) -> None:
    """No default, no string, no none, no mix of HMACs with signatures."""
    with pytest.raises(ConfigurationError, match="algorithm"):
        TrustedIssuer(issuer="i", audience="a", keys=KeySet([KEY]), algorithms=algorithms)


def test_every_fault_of_an_issuer_is_reported_together() -> None:
    """One error names them all, each with its remedy."""
    with pytest.raises(ConfigurationError) as caught:
        TrustedIssuer(issuer="", audience=None, keys=[KEY], algorithms="ES256", types=())  # type: ignore[arg-type]
    assert len(caught.value.faults) == 5
    with pytest.raises(ConfigurationError) as caught:
        Verifier([], leeway=301, on_revocation_error="open")
    assert len(caught.value.faults) == 2


@pytest.mark.parametrize("leeway", [-1, 301, float("nan"), True, "5"])
def test_v12_leeway_is_zero_to_300_seconds(leeway: Any) -> None:
    """A leeway that is not a finite number in the range is a fault of the configuration."""
    with pytest.raises(ConfigurationError, match="leeway"):
        verifier_of(KEY, leeway=leeway)


def test_v7_leaving_the_audience_out_takes_saying_so() -> None:
    """None is refused; ANY_AUDIENCE accepts a token for another API."""
    token = make(KEY, good_claims(aud="other"))
    with pytest.raises(InvalidClaim, match="audiences"):
        verifier_of(KEY).verify(token)
    assert verifier_of(KEY, audience=ANY_AUDIENCE).verify(token)
    assert verifier_of(KEY, audience=["x", "other"]).verify(token)


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ({"alg": "none"}, AlgorithmNotAllowed),
        ({"alg": "NONE"}, AlgorithmNotAllowed),
        ({"alg": ""}, AlgorithmNotAllowed),
        ({"alg": None}, AlgorithmNotAllowed),
        ({"alg": ["ES256"]}, AlgorithmNotAllowed),
        ({}, AlgorithmNotAllowed),
        ({"alg": "HS256"}, AlgorithmNotAllowed),
        ({"alg": "ES384"}, AlgorithmNotAllowed),
        ({"alg": "ES256", "kid": "unknown"}, UnknownKey),
        ({"alg": "ES256", "kid": 7}, MalformedToken),
        ({"alg": "ES256", "kid": ""}, MalformedToken),
        ({"alg": "ES256", "kid": "k" * 257}, MalformedToken),
        ({"alg": "ES256", "typ": "rt+jwt"}, UnsupportedToken),
        ({"alg": "ES256", "typ": 7}, MalformedToken),
        ({"alg": "ES256", "crit": ["exp"], "exp": 1}, UnsupportedToken),
        ({"alg": "ES256", "crit": []}, UnsupportedToken),
        ({"alg": "ES256", "b64": False, "crit": ["b64"]}, UnsupportedToken),
        ({"alg": "ES256", "b64": True}, UnsupportedToken),
        ({"alg": "ES256", "zip": "DEF"}, UnsupportedToken),
        ({"alg": "ES256", "cty": "JWT"}, UnsupportedToken),
        ({"alg": "PBES2-HS256+A128KW", "enc": "A128GCM"}, UnsupportedToken),
    ],
)
def test_v2_v4_v5_v8_v9_a_header_is_refused(
    header: dict[str, Any], error: type[TokenError]
) -> None:
    """Signed by the right key, and still refused for its header."""
    with pytest.raises(error):
        verifier_of(KEY).verify(make(KEY, good_claims(), header))


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "JWT", None])
def test_v8_typ_is_compared_without_case_and_prefix(typ: str | None) -> None:
    """An expected typ in any spelling passes; where it is demanded, its absence does not."""
    header = {"alg": "ES256", **({"typ": typ} if typ else {})}
    token = make(KEY, good_claims(), header)
    assert verifier_of(KEY).verify(token)
    strict = verifier_of(KEY, types=["at+jwt"], require_type=True)
    if typ in (None, "JWT"):
        with pytest.raises(UnsupportedToken):
            strict.verify(token)
    else:
        assert strict.verify(token)


def test_v4_an_embedded_key_is_never_used() -> None:
    """Authlib CVE-2026-27962: a token that brings its own key in jwk, jku or x5c is refused."""
    attacker = Key.generate("ES256")
    for extra in ({"jwk": attacker.public_jwk()}, {"jku": "https://evil.test"}, {"x5u": "x"}):
        header = {"alg": "ES256", "kid": attacker.kid, **extra}
        with pytest.raises(UnknownKey):
            verifier_of(KEY).verify(make(attacker, good_claims(), header))
        header["kid"] = KEY.kid
        with pytest.raises(InvalidSignature):
            verifier_of(KEY).verify(make(attacker, good_claims(), header))


def test_v2_algorithm_confusion_finds_no_key() -> None:
    """CVE-2016-10555 and similar: the public key is never tried as an HMAC secret."""
    import hashlib
    import hmac

    public = json.dumps(KEY.public_jwk()).encode()
    data = b".".join(
        encode_segment(json.dumps(part).encode())
        for part in ({"alg": "HS256", "kid": KEY.kid}, good_claims())
    )
    forged = data + b"." + encode_segment(hmac.new(public, data, hashlib.sha256).digest())
    with pytest.raises(AlgorithmNotAllowed):
        verifier_of(KEY).verify(forged)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"iss": "https://issuer.tes"}, UnknownIssuer),
        ({"iss": "https://issuer.test/"}, UnknownIssuer),
        ({"iss": ["https://issuer.test"]}, UnknownIssuer),
        ({"iss": None}, UnknownIssuer),
        ({"iss": ...}, MissingClaim),
        ({"aud": ...}, MissingClaim),
        ({"aud": ""}, InvalidClaim),
        ({"aud": []}, InvalidClaim),
        ({"aud": ["x", 7]}, InvalidClaim),
        ({"aud": {"api": 1}}, InvalidClaim),
        ({"aud": None}, InvalidClaim),
        ({"aud": "ap"}, InvalidClaim),
        ({"aud": "api2"}, InvalidClaim),
        ({"exp": ...}, MissingClaim),
        ({"exp": None}, InvalidClaim),
        ({"exp": "1900000000"}, InvalidClaim),
        ({"exp": True}, InvalidClaim),
        ({"exp": -1}, InvalidClaim),
        ({"exp": 10**15}, InvalidClaim),
        ({"exp": 1e300}, InvalidClaim),
        ({"exp": int(NOW)}, TokenExpired),
        ({"exp": NOW}, TokenExpired),
        ({"nbf": int(NOW) + 1}, TokenNotYetValid),
        ({"nbf": "0"}, InvalidClaim),
        ({"nbf": None}, InvalidClaim),
        ({"iat": int(NOW) + 1}, TokenNotYetValid),
        ({"iat": False}, InvalidClaim),
        ({"sub": 7}, InvalidClaim),
        ({"sub": None}, InvalidClaim),
        ({"sub": ""}, InvalidClaim),
        ({"sub": "a\0b"}, InvalidClaim),
        ({"sub": "x" * 1025}, InvalidClaim),
        ({"jti": ["a"]}, InvalidClaim),
        ({"jti": "\0"}, InvalidClaim),
        ({"sid": {}}, InvalidClaim),
        ({"scope": 7}, InvalidClaim),
        ({"scope": ["a", 7]}, InvalidClaim),
        ({"scope": None}, InvalidClaim),
    ],
)
def test_v6_v7_v12_v13_a_claim_is_refused(changes: dict[str, Any], error: type[TokenError]) -> None:
    """Correctly signed, and still refused for its claims."""
    with pytest.raises(error) as caught:
        verifier_of(KEY).verify(make(KEY, good_claims(**changes)))
    if issubclass(error, InvalidClaim):
        assert isinstance(caught.value, InvalidClaim)
        assert caught.value.claim in changes


def test_token_is_expired_at_the_exact_second() -> None:
    """``now == exp`` is expired, the instant before is not; leeway moves the border (V12)."""
    clock = FakeClock()
    token = make(KEY, good_claims(exp=clock.now + 1))
    strict, lenient = verifier_of(KEY, clock=clock), verifier_of(KEY, clock=clock, leeway=5)
    clock.move(0.999)
    strict.verify(token)
    clock.move(0.001)
    with pytest.raises(TokenExpired):
        strict.verify(token)
    lenient.verify(token)
    clock.move(5)
    with pytest.raises(TokenExpired):
        lenient.verify(token)


def test_v6_iss_picks_the_key_set() -> None:
    """One kid at two issuers is two keys; a key of the other issuer is never used."""
    mine, other = Key.generate("ES256", kid="k"), Key.generate("ES256", kid="k")
    verifier = Verifier(
        [
            TrustedIssuer(issuer=name, audience=AUDIENCE, keys=KeySet([key]), algorithms=["ES256"])
            for name, key in ((ISSUER, mine), ("https://other.test", other))
        ],
        clock=lambda: NOW,
    )
    assert verifier.verify(make(mine, good_claims())).issuer == ISSUER
    assert verifier.verify(make(other, good_claims(iss="https://other.test")))
    with pytest.raises(InvalidSignature):
        verifier.verify(make(other, good_claims()))


@pytest.mark.parametrize(
    "payload",
    [
        b'{"iss":"a","iss":"b"}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a" :1,"a":2}',
        b'{"\\u0061":1,"a":2}',
        b'[{"iss":1}]',
        b'"x"',
        b"null",
        b"{",
        b"",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e400}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\\ud800"}',
        b"\xef\xbb\xbf{}",
        b'{"a":1} x',
        b'{"a":' + b"1" * 4301 + b"}",
        b"{'a':1}",
        b'{"a":' + b"[" * 17 + b"]" * 17 + b"}",
        b'{"a":' + b'{"a":' * 17 + b"1" + b"}" * 18,
        json.dumps({f"c{n}": n for n in range(257)}, separators=(",", ":")).encode(),
    ],
)
def test_v11_json_that_two_parsers_could_read_differently_is_refused(payload: bytes) -> None:
    """Duplicates, non-finite numbers, broken UTF-8, depth and size, in payload and in header."""
    with pytest.raises(MalformedToken):
        verifier_of(KEY).verify(make(KEY, payload))
    with pytest.raises(MalformedToken):
        verifier_of(KEY).verify(make(KEY, good_claims(), payload))


def test_v11_white_space_and_escapes_are_no_fault() -> None:
    """JSON with white space and escapes, but without duplicates, is accepted."""
    payload = json.dumps(good_claims(name='Ā \\u "q"', n=1.50), indent=2).encode()
    verified = verifier_of(KEY).verify(make(KEY, payload))
    assert verified.display_name == 'Ā \\u "q"'


@pytest.mark.parametrize(
    "token",
    [
        *("", ".", "..", "...", "a.b", "a.b.c.d", GOOD + ".", "." + GOOD, GOOD + "=", GOOD + "\n"),
        *(" " + GOOD, GOOD.replace(".", " ."), GOOD + "é", GOOD + "+", "Bearer " + GOOD),
        *('{"payload":"x"}', GOOD.rpartition(".")[0] + "."),
    ],
)
def test_v10_only_the_exact_compact_form_is_read(token: str) -> None:
    """Padding, white space, other alphabets, missing segments: refused before decoding."""
    with pytest.raises(MalformedToken):
        verifier_of(KEY).verify(token)


@pytest.mark.parametrize("token", [None, 7, bytearray(b"a.b.c"), ["a.b.c"]])
def test_v17_what_is_no_text_is_a_malformed_token(token: Any) -> None:
    """A wrong type of token is refused like a wrong token, not with a TypeError."""
    with pytest.raises(MalformedToken):
        verifier_of(KEY).verify(token)


def test_v10_a_second_spelling_of_a_signature_is_refused() -> None:
    """Unused bits of the last character must be zero: one token, one cache key."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    data, _, signature = GOOD.rpartition(".")
    other = signature[:-1] + alphabet[alphabet.index(signature[-1]) + 1]
    padded = [part + "==" for part in (signature, other)]
    assert base64.urlsafe_b64decode(padded[0]) == base64.urlsafe_b64decode(padded[1])
    with pytest.raises(MalformedToken):
        verifier_of(KEY).verify(f"{data}.{other}")


def test_v14_cve_2025_30204_a_flood_of_dots_costs_nothing() -> None:
    """golang-jwt split at every dot; here the length is checked first."""
    with pytest.raises(MalformedToken, match="at most 16384"):
        verifier_of(KEY).verify("." * 1_000_000)
    with pytest.raises(MalformedToken):
        verifier_of(KEY).verify("." * 16_000)


def test_v14_nothing_over_the_limit_is_hashed_or_looked_up() -> None:
    """A token of a megabyte is refused by its length alone, with and without a cache."""
    verifier = verifier_of(KEY)
    assert verifier.cache is not None
    for ask in (verifier.verify, verifier.cached):
        with contextlib.suppress(MalformedToken):
            assert ask("a" * 1_000_000) is None
    assert verifier.cache.info().misses == 0


def test_v14_cve_2025_61920_a_large_header_is_not_decoded() -> None:
    """A header beyond its limit is refused, and the limits can be set within bounds."""
    header = {"alg": "ES256", "x": "x" * 2000}
    token = make(KEY, good_claims(), header)
    with pytest.raises(MalformedToken, match="header has"):
        verifier_of(KEY).verify(token)
    assert verifier_of(KEY, limits=TokenLimits(header_bytes=4096)).verify(token)
    with pytest.raises(ConfigurationError) as caught:
        TokenLimits(token_bytes=0, header_bytes=0)
    assert len(caught.value.faults) == 2


def test_v15_an_encrypted_token_is_never_decrypted() -> None:
    """Five segments are refused as such (CVE-2023-51774, CVE-2024-33664)."""
    with pytest.raises(UnsupportedToken, match="JWE"):
        verifier_of(KEY).verify("a.b.c.d.e")


@pytest.mark.parametrize("filler", [0, 1, 255])
def test_cve_2022_21449_a_psychic_signature_is_refused(filler: int) -> None:
    """An ECDSA signature of zeros, of ones or out of range fits nothing."""
    data = GOOD.rpartition(".")[0]
    signature = encode_segment(bytes([filler]) * 64).decode()
    with pytest.raises(InvalidSignature):
        verifier_of(KEY).verify(f"{data}.{signature}")


@pytest.mark.parametrize("length", [1, 32, 63, 65, 70, 6000])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    """DER, truncated and oversized signatures do not reach the arithmetic."""
    data = GOOD.rpartition(".")[0]
    with pytest.raises(InvalidSignature):
        verifier_of(KEY).verify(f"{data}.{encode_segment(b'0' * length).decode()}")


@pytest.mark.parametrize("key", [KEY, SECRET], ids=["ES256", "HS256"])
def test_every_changed_character_is_noticed(key: Key) -> None:
    """No token that differs in one character from a good one is accepted."""
    token = make(key, good_claims())
    verifier = verifier_of(key)
    verifier.verify(token)
    for position, character in enumerate(token):
        changed = token[:position] + ("A" if character != "A" else "B") + token[position + 1 :]
        with pytest.raises(TokenError):
            verifier.verify(changed)


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300)))
@settings(max_examples=150, deadline=None)
def test_v17_garbage_raises_nothing_but_token_errors(token: bytes | str) -> None:
    """Any bytes or text are refused with a TokenError."""
    with pytest.raises(TokenError):
        verifier_of(KEY).verify(token)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "zip"]), JSON),
    st.dictionaries(
        st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "sub", "jti", "sid", "scope"]), JSON
    ),
)
@settings(max_examples=150, deadline=None)
def test_v17_any_header_and_claims_give_a_value_or_a_token_error(
    header: dict[str, Any], claims: dict[str, Any]
) -> None:
    """Correctly signed nonsense raises nothing but TokenError."""
    token = make(SECRET, good_claims(**claims), {"alg": "HS256", **header})
    refusal = None
    try:
        assert isinstance(verifier_of(SECRET).verify(token), Verified)
    except TokenError as error:
        refusal = error
    assert refusal is None or (refusal.detail and token not in str(refusal))


def test_v17_errors_hold_neither_token_nor_claim_values() -> None:
    """The message of a refusal contains no part of the token."""
    token = make(KEY, good_claims(sub=["very-private"], iss="https://evil.test/very-private"))
    with pytest.raises(TokenError) as caught:
        verifier_of(KEY).verify(token)
    assert "very-private" not in repr(caught.value)
    assert "very-private" not in repr(verifier_of(KEY).verify(GOOD))


# A remembered token


def test_a_repeated_token_is_a_hit() -> None:
    """The second verification returns the same value, and the counters show the hit."""
    verifier = verifier_of(KEY)
    assert verifier.verify(GOOD) is verifier.verify(GOOD)
    verifier.verify(make(KEY, good_claims(sub="bob")))
    assert verifier.cache is not None
    info = verifier.cache.info()
    assert (info.hits, info.misses, info.entries) == (1, 2, 2)


def test_algorithm_that_no_issuer_may_use_is_refused_by_the_header_alone() -> None:
    """The payload is not decoded for it."""
    header, _, signature = make(Key.generate("ES384"), good_claims()).split(".")
    with pytest.raises(AlgorithmNotAllowed):
        verifier_of(KEY).verify(f"{header}.!.{signature}")


def test_digest_is_that_of_the_token_with_or_without_a_cache() -> None:
    """And nothing else of the token stands in the value: encoders and pickles show all of it."""
    expected = hashlib.sha256(GOOD.encode()).digest()
    for options in ({}, {"cache": None}):
        verified = verifier_of(KEY, **options).verify(GOOD)
        assert verified.digest == expected
        assert GOOD.encode() not in pickle.dumps(verified)
        assert GOOD.rpartition(".")[2].encode() not in pickle.dumps(verified)


def test_k1_cve_2026_35030_a_token_that_shares_a_prefix_or_suffix_is_another_one() -> None:
    """A forged token that differs from a cached one only in its middle is verified by itself."""
    verifier = verifier_of(SECRET)
    token = make(SECRET, good_claims())
    header, _, signature = token.split(".")
    forged = encode_segment(json.dumps(good_claims(sub="root")).encode()).decode()
    for _ in range(3):  # cold, and from the cache
        assert verifier.verify(token).subject == "alice"
        with pytest.raises(InvalidSignature):
            verifier.verify(f"{header}.{forged}.{signature}")


def test_k3_a_cached_token_is_checked_on_every_hit() -> None:
    """Expiry, revocation and the key's withdrawal count at the third and at every later hit."""
    clock, revoked = FakeClock(), False
    keys = KeySet([SECRET, Key.generate("HS256")])
    issuer = TrustedIssuer(issuer=ISSUER, audience=AUDIENCE, keys=keys, algorithms=["HS256"])
    verifier = Verifier(issuer, is_revoked=lambda verified: revoked, clock=clock)
    lasting, short = (make(SECRET, good_claims(exp=clock.now + life)) for life in (900, 60))
    for token in (lasting, short) * 3:
        verifier.verify(token)
    clock.move(60)
    with pytest.raises(TokenExpired):
        verifier.verify(short)
    revoked = True
    with pytest.raises(TokenRevoked):
        verifier.verify(lasting)
    revoked = False
    for _ in range(3):
        verifier.verify(lasting)
    keys.remove(SECRET.kid)
    with pytest.raises(UnknownKey):
        verifier.verify(lasting)


def test_k5_garbage_is_not_cached_and_no_token_is_kept_in_the_verifier() -> None:
    """A memory dump of a worker shows no bearer token that a request has left behind."""
    verifier = verifier_of(SECRET)
    token = make(SECRET, good_claims()).encode()
    for _ in range(3):
        verifier.verify(token)
        for garbage in (b"x" * 500, token[:-1], token.replace(b".", b" ")):
            with pytest.raises(TokenError):
                verifier.verify(garbage)
    assert verifier.cache is not None
    assert len(verifier.cache) == 1
    signature = token.rpartition(b".")[2]
    held = [value for value in reachable(verifier) if isinstance(value, bytes)]
    assert any(hashlib.sha256(token).digest() == value for value in held)
    assert not any(signature in value for value in held)


def reachable(root: object) -> list[object]:
    """Return what `root` refers to, modules and functions left out."""
    found: dict[int, object] = {}
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if id(value) in found or isinstance(value, type | ModuleType | FunctionType):
            continue
        found[id(value)] = value
        waiting += gc.get_referents(value)
        waiting += [getattr(value, name) for name in getattr(value, "__struct_fields__", ())]
    return [*found.values()]


def test_two_issuers_may_trust_the_same_key() -> None:
    """Each token keeps its issuer, and only tokens of the own issuer are own tokens."""
    keys = KeySet([SECRET])
    both = [
        TrustedIssuer(issuer=name, audience=AUDIENCE, keys=keys, algorithms=["HS256"], own=own)
        for name, own in ((ISSUER, True), ("https://other.example", False))
    ]
    verifier = Verifier(both, clock=FakeClock())
    for name, own in ((ISSUER, True), ("https://other.example", False)) * 2:
        verified = verifier.verify(make(SECRET, good_claims(iss=name)))
        assert (verified.issuer, verified.own) == (name, own)


def test_names_are_read_from_the_payload_when_asked_for() -> None:
    """Subject, token id and session id are what the claims say, the second time too, or None."""
    verifier = verifier_of(SECRET)
    claims = good_claims(sub="zo\u00eb", jti="t", sid="s")
    verified = verifier.verify(make(SECRET, claims))
    for _ in range(2):
        assert (verified.subject, verified.token_id, verified.session_id) == ("zo\u00eb", "t", "s")
    del claims["sub"], claims["jti"], claims["sid"]
    bare = verifier.verify(make(SECRET, claims))
    for _ in range(2):
        assert (bare.subject, bare.token_id, bare.session_id) == (None, None, None)


def test_k1_two_policies_never_share_a_cache() -> None:
    """A cache belongs to one verifier: a token that a laxer one accepted must not be valid here."""
    cache = VerifiedCache()
    verifier_of(KEY, cache=cache)
    with pytest.raises(ConfigurationError, match="share one cache"):
        verifier_of(KEY, cache=cache, audience=ANY_AUDIENCE)


def test_k2_a_refusal_is_not_remembered() -> None:
    """A token that is not valid yet is verified again, and accepted once it is."""
    clock = FakeClock()
    verifier = verifier_of(KEY, clock=clock)
    token = make(KEY, good_claims(nbf=clock.now + 5))
    with pytest.raises(TokenNotYetValid):
        verifier.verify(token)
    assert verifier.cache is not None
    assert len(verifier.cache) == 0
    clock.move(5)
    assert verifier.verify(token)


@pytest.mark.parametrize("changes", [{}, {"iat": ...}], ids=["with iat", "without iat"])
def test_k3_an_expired_cached_token_is_refused(changes: dict[str, Any]) -> None:
    """fast-jwt served cached tokens past exp; here every hit compares it."""
    clock = FakeClock()
    verifier = verifier_of(KEY, clock=clock)
    token = make(KEY, good_claims(exp=clock.now + 5, **changes))
    verifier.verify(token)
    clock.move(5)
    with pytest.raises(TokenExpired):
        verifier.verify(token)


def test_k3_k6_a_clock_that_steps_back_refuses_and_recovers() -> None:
    """Before nbf or iat a cached token is refused; when the clock is right again it counts."""
    clock = FakeClock()
    verifier = verifier_of(KEY, clock=clock)
    verifier.verify(GOOD)
    clock.move(-3600)
    with pytest.raises(TokenNotYetValid):
        verifier.verify(GOOD)
    clock.move(3600)
    assert verifier.verify(GOOD)


def test_k3_a_revoked_token_is_refused_though_cached() -> None:
    """is_revoked is called on every hit, with session and token id, never with the text (K7)."""
    revoked: set[str | None] = set()
    verifier = verifier_of(KEY, is_revoked=lambda verified: verified.session_id in revoked)
    verifier.verify(GOOD)
    revoked.add("session-1")
    for _ in range(2):
        with pytest.raises(TokenRevoked):
            verifier.verify(GOOD)


def test_k3_a_withdrawn_key_ends_what_was_cached() -> None:
    """After the removal of any key, the tokens of its issuer are verified again."""
    keys = KeySet([Key.generate("ES256"), KEY])
    verifier = Verifier(
        TrustedIssuer(issuer=ISSUER, audience=AUDIENCE, keys=keys, algorithms=["ES256"]),
        clock=lambda: NOW,
    )
    verifier.verify(GOOD)
    keys.remove(KEY.kid)
    with pytest.raises(UnknownKey):
        verifier.verify(GOOD)


def test_k4_claims_cannot_be_changed_for_others() -> None:
    """The mapping is read-only, and the values in it are the reader's own copies."""
    verifier = verifier_of(KEY)
    token = make(KEY, good_claims(roles=["user"]))
    claims = verifier.verify(token).claims
    with pytest.raises(TypeError):
        claims["sub"] = "root"  # type: ignore[index]
    claims["roles"].append("root")
    assert verifier.verify(token).claims["roles"] == ["user"]
    with pytest.raises(AttributeError):
        verifier.verify(token).subject = "root"  # type: ignore[misc]


def test_a_revocation_check_that_raises_closes_by_default() -> None:
    """The token is refused as unavailable; "open" accepts it; hooks are called in both cases."""
    events: list[object] = []

    def broken(verified: Verified) -> bool:
        raise OSError("store down")

    with pytest.raises(Unavailable):
        verifier_of(KEY, is_revoked=broken, hooks=[events.append]).verify(GOOD)
    lenient = verifier_of(KEY, is_revoked=broken, on_revocation_error="open", hooks=[events.append])
    assert lenient.verify(GOOD)
    assert events == [RevocationFailed(detail="OSError")] * 2


def test_a_revocation_check_that_nothing_would_await_is_refused() -> None:
    """A coroutine is true: every token would be revoked, and none renewed."""

    async def asynchronous(verified: Verified) -> bool:
        return False

    class Asynchronous:
        async def __call__(self, verified: Verified) -> bool:
            return False

    for check in (asynchronous, Asynchronous()):
        with pytest.raises(ConfigurationError, match="is_revoked is a coroutine function"):
            verifier_of(KEY, is_revoked=check)
        with pytest.raises(ConfigurationError, match="is_revoked is a coroutine function"):
            SlidingRenewal(signer_of(KEY), is_revoked=check)  # type: ignore[arg-type]


BOUND = [
    {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},  # DPoP, RFC 9449
    {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"},  # mTLS, RFC 8705
    "unknown",
    None,
]


@pytest.mark.parametrize("confirmation", BOUND)
def test_v20_rfc_9449_a_bound_token_is_no_bearer_token(confirmation: Any) -> None:
    """RFC 9449, 7.2; RFC 8705: a stolen token must not work where no proof is checked."""
    token = make(KEY, good_claims(cnf=confirmation))
    verifier = verifier_of(KEY)
    for _ in range(3):
        with pytest.raises(BoundToken) as caught:
            verifier.verify(token)
    assert caught.value.code == "bound_token"
    assert verifier.cache is not None
    assert len(verifier.cache) == 0
    accepting = verifier_of(KEY, bound_tokens="accept")
    assert accepting.verify(token) is accepting.verify(token)


def test_a_bound_token_is_found_however_its_claims_are_read() -> None:
    """Also by the fast decoder and with an escape, and not by a value of that name."""
    verifier = verifier_of(KEY)
    plain = json.dumps(good_claims(), separators=(",", ":"))
    for _ in range(3):
        verifier.verify(make(KEY, good_claims(jti="cnf", name="cnf")))
    accepting = verifier_of(KEY, bound_tokens="accept")
    shaped = [make(KEY, good_claims(jti=f"{n}", cnf="x")) for n in range(3)]
    assert [accepting.verify(token).claims["cnf"] for token in shaped] == ["x"] * 3
    escaped = plain.replace("{", '{"\\u0063nf":{},', 1).encode()
    for token in (*shaped, make(KEY, escaped)):
        with pytest.raises(BoundToken):
            verifier.verify(token)
    shape_of_bound = verifier_of(KEY)
    for token in (*shaped, *shaped):
        with pytest.raises(BoundToken):
            shape_of_bound.verify(token)


def test_a_primed_bound_token_is_not_remembered() -> None:
    """Signing one for another API must not fail; presented here as a bearer token it is refused."""
    verifier = verifier_of(KEY)
    token = make(KEY, good_claims(cnf={"jkt": "x"}))
    assert verifier.cache_issued(token).subject == "alice"
    with pytest.raises(BoundToken):
        verifier.verify(token)


def test_what_becomes_of_bound_tokens_is_one_of_two_words() -> None:
    """Any other value is a fault of the configuration."""
    with pytest.raises(ConfigurationError, match="bound_tokens"):
        verifier_of(KEY, bound_tokens="yes")


def test_a_primed_token_is_a_hit_and_still_checked() -> None:
    """A token that was just signed needs no signature check, but all others."""
    signer = signer_of(KEY)
    verifier = Verifier.trusting(signer, clock=lambda: NOW)
    token = signer.sign(good_claims())
    primed = verifier.cache_issued(token)
    assert verifier.verify(token) is primed
    with pytest.raises(TokenExpired):
        verifier.cache_issued(signer.sign(good_claims(exp=1)))


def test_a_signers_verifier_follows_a_rotation_to_another_algorithm() -> None:
    """A key added to the signer's set verifies at once; a stranger's token never does."""
    signer = signer_of(KEY)
    verifier = Verifier.trusting(signer, clock=lambda: NOW)
    signer.keys.add(Key.generate("EdDSA"))
    assert verifier.verify(signer.sign(good_claims())).algorithm == "EdDSA"
    with pytest.raises(TokenError):
        verifier.verify(make(Key.generate("EdDSA"), good_claims()))
    with pytest.raises(UnsupportedToken):
        verifier.verify(make(KEY, good_claims(), {"alg": "ES256", "kid": KEY.kid, "typ": "JWT"}))


def test_tokens_are_found_in_the_cache_however_many_headers_there_are() -> None:
    """An issuer may vary its headers; at most 256 of them are remembered."""
    verifier = verifier_of(SECRET)
    tokens = [
        make(SECRET, good_claims(), {"alg": "HS256", "kid": SECRET.kid, "x": number})
        for number in range(300)
    ]
    for _ in range(2):
        for token in tokens:
            verifier.verify(token)
    assert verifier.cache is not None
    assert verifier.cache.info().hits >= 300


def test_headers_of_garbage_are_not_kept() -> None:
    """Only headers of verified tokens are remembered, and at most 256 of them."""
    verifier = verifier_of(SECRET, cache=None)
    for number in range(300):
        header = {"alg": "HS256", "kid": SECRET.kid, "x": number}
        verifier.verify(make(SECRET, good_claims(), header))
        with pytest.raises(TokenError):
            verifier.verify(
                make(Key.generate("HS256"), good_claims(), {"alg": "HS256", "y": number})
            )
    assert len(verifier._headers) <= 256
