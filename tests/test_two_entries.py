"""Two entries of one ``iss``: ``alg`` chooses the entry, and each has its own keys (V3, V6)."""

import base64
import time
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, hmac, serialization

from asgi import App, call, http
from certificates import certificate_of, private_pem_of
from clock import FakeClock
from linqi import (
    ConfigurationError,
    Grid,
    JWTMiddleware,
    Key,
    KeySet,
    RemoteKeys,
    RenewalSettings,
    Signer,
    SlidingRenewal,
    Snapshot,
    StoreShare,
    TrustedIssuer,
    VerifiedCache,
    Verifier,
    _base64url,
)
from linqi.errors import (
    AlgorithmNotAllowed,
    InvalidKey,
    InvalidSignature,
    MissingClaim,
    Unavailable,
    UnknownKey,
)
from linqi.jose.issuers import own_issuer
from linqi.stores.memory import MemoryStore
from tokens import AUDIENCE, ISSUER, NOW, good_claims, make

SECRET = Key.from_secret("an old secret of at least 32 bytes, 0123456789", kid="one")
NEW = Key.generate("ES256", kid="one")  # the same kid in both sets
OTHER = Key.generate("ES256", kid="one")
PEM = NEW._public.public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def entry(key: Key, **options: Any) -> TrustedIssuer:
    """Return an entry of `ISSUER` with one key."""
    return TrustedIssuer(
        issuer=ISSUER, audience=AUDIENCE, keys=KeySet([key]), algorithms=[key.alg], **options
    )


@pytest.fixture
def verifier() -> Verifier:
    """Return a verifier of both entries."""
    return Verifier([entry(SECRET), entry(NEW)], clock=lambda: NOW)


def hmac_token(secret: bytes, header: dict[str, Any]) -> str:
    """Return a token that is signed by HMAC-SHA256 with any bytes, whatever the header says."""
    parts = [msgspec.json.encode(header), msgspec.json.encode(good_claims())]
    data = b".".join(_base64url.encode(part) for part in parts)
    made = hmac.HMAC(secret, hashes.SHA256())
    made.update(data)
    return (data + b"." + _base64url.encode(made.finalize())).decode()


async def statuses(verifier: Verifier, *tokens: str) -> list[int]:
    """Return the statuses of one request with each token, in order, by one middleware."""
    app = JWTMiddleware(App(), verifier, hooks=[])
    return [(await call(app, http(token=token))).status for token in tokens]


@pytest.mark.parametrize("cache", ["default", None])
async def test_v6_each_algorithm_has_its_own_keys_under_one_kid(cache: Any) -> None:
    """Both kinds are served, first read and again; another key with that kid is not."""
    verifier = Verifier([entry(SECRET), entry(NEW)], cache=cache, clock=lambda: NOW)
    good = [make(SECRET, good_claims()), make(NEW, good_claims())] * 3
    bad = [make(OTHER, good_claims()), make(Key.generate("HS256", kid="one"), good_claims())]
    assert await statuses(verifier, *good, *bad, *good) == [200] * 6 + [401] * 2 + [200] * 6


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(PEM, id="pem"),
        pytest.param(PEM.strip(), id="stripped"),
        pytest.param(msgspec.json.encode(NEW.public_jwk()), id="jwk"),
        pytest.param(_base64url.decode(NEW.public_jwk()["x"]), id="x"),
        pytest.param(NEW.thumbprint.encode(), id="thumbprint"),
    ],
)
async def test_v3_the_public_key_is_no_secret_of_the_other_entry(
    verifier: Verifier, secret: bytes
) -> None:
    """CVE-2015-9235: who knows the public ES256 key signs HS256 with it, under the shared kid."""
    await statuses(verifier, make(NEW, good_claims()), make(SECRET, good_claims()))
    for header in ({"alg": "HS256", "kid": "one"}, {"alg": "HS256"}):
        forged = hmac_token(secret, header)
        with pytest.raises(InvalidSignature):
            verifier.verify(forged)
        assert await statuses(verifier, forged, forged) == [401, 401]


async def test_v3_a_token_by_the_secret_does_not_pass_as_es256(verifier: Verifier) -> None:
    """The old secret, known to an attacker, signs nothing for the entry of the new key."""
    real = make(SECRET, good_claims())
    assert verifier.verify(real).algorithm == "HS256"
    material = SECRET._material
    for header in (
        {"alg": "ES256", "kid": "one", "typ": "at+jwt"},
        {"alg": "ES256"},
        {"alg": "es256", "kid": "one"},
        {"alg": "HS384", "kid": "one"},
    ):
        with pytest.raises((InvalidSignature, AlgorithmNotAllowed)):
            verifier.verify(hmac_token(material, header))
    renamed = _base64url.encode(b'{"alg":"ES256","kid":"one","typ":"at+jwt"}').decode()
    with pytest.raises(InvalidSignature):
        verifier.verify(".".join([renamed, *real.split(".")[1:]]))


def test_v6_an_entry_without_a_key_never_borrows_one(verifier: Verifier) -> None:
    """A kid that only the other entry has is unknown, although the issuer is the same."""
    named = Verifier([entry(SECRET), entry(Key.generate("ES256", kid="two"))], clock=lambda: NOW)
    with pytest.raises(UnknownKey):
        named.verify(make(NEW, good_claims()))


def test_what_one_entry_demands_is_not_loosened_by_the_other() -> None:
    """Audience, types and required claims are those of the entry that the algorithm chose."""
    strict = entry(NEW, types=["at+jwt"], require_type=True, required_claims=["tenant"])
    verifier = Verifier([entry(SECRET), strict], clock=lambda: NOW)
    for key, extra, is_good in (
        (SECRET, {}, True),
        (NEW, {"tenant": "a"}, True),
        (NEW, {}, False),
        (NEW, {"tenant": ...}, False),
    ):
        token = make(key, good_claims(**extra))
        for _ in range(3):
            if is_good:
                assert verifier.verify(token).own is False
            else:
                with pytest.raises(MissingClaim, match="tenant"):
                    verifier.verify(token)


def test_two_entries_that_share_an_algorithm_are_refused() -> None:
    """Two key sets for one `iss` and `alg` would leave the choice to the order of the list."""
    with pytest.raises(ConfigurationError, match=r"two trusted issuers .* take ES256"):
        Verifier([entry(NEW), entry(SECRET), entry(OTHER)])


def test_v3_verify_keys_are_of_the_other_kind() -> None:
    """Keys of the same kind belong into the set of the signing keys."""
    signer = Signer(NEW, issuer=ISSUER, audience=AUDIENCE)
    with pytest.raises(ConfigurationError, match="same kind"):
        Verifier.trusting(signer, verify_keys=KeySet([OTHER]))


def test_v3_a_public_key_is_not_taken_as_a_secret() -> None:
    """The mistake that opens the confusion by hand, the PEM as the secret, is refused."""
    with pytest.raises(InvalidKey, match="asymmetric key"):
        Key.from_secret(PEM)


@pytest.mark.parametrize("form", [Key.public_pem, certificate_of, private_pem_of])
@pytest.mark.parametrize("spelling", ["lines", "one line", "quoted", "base64url", "bytes"])
def test_v3_a_key_without_its_armour_is_no_secret(form: Any, spelling: str) -> None:
    """Keycloak shows its public key so, and who has it could sign (CVE-2022-29217)."""
    body = "\n".join(form(NEW).strip().splitlines()[1:-1])
    line = body.replace("\n", "")
    secret = {
        "lines": body,
        "one line": line,
        "quoted": f'"{line}"',
        "base64url": line.translate({ord("+"): "-", ord("/"): "_", ord("="): None}),
        "bytes": base64.b64decode(line),
    }[spelling]
    with pytest.raises(InvalidKey, match="asymmetric key"):
        Key.from_secret(secret)


def test_a_secret_that_only_begins_like_a_key_is_one() -> None:
    """Random bytes in base64 begin with ``MI`` now and then."""
    cut = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"
    for secret in ("MIIB" + "sN0nG5uWq3tYx8Zc" * 5, cut, cut[:33], "0" + cut):
        assert Key.from_secret(secret).can_sign


def test_a_withdrawn_key_of_one_entry_leaves_the_other_cached() -> None:
    """Each entry has its own generation: cached tokens of the old secret end at once with it."""
    keys = KeySet([SECRET, Key.generate("HS256", kid="spare")])
    old = TrustedIssuer(issuer=ISSUER, audience=AUDIENCE, keys=keys, algorithms=["HS256"])
    cache = VerifiedCache()
    verifier = Verifier([old, entry(NEW)], cache=cache, clock=lambda: NOW)
    tokens = make(SECRET, good_claims()), make(NEW, good_claims())
    for token in tokens * 2:
        verifier.verify(token)
    assert cache.info().hits == 2
    keys.remove("one")
    with pytest.raises(UnknownKey):
        verifier.verify(tokens[0])
    verifier.verify(tokens[1])
    assert cache.info().hits == 3


async def moved(old: Key, new: Key, clock: FakeClock) -> None:
    """Start a session by `old`, and go on with it by `new`."""
    settings = RenewalSettings(lifetime=900, buffer=300, policy=Grid())
    before = Signer(old, issuer=ISSUER, audience=AUDIENCE, clock=clock)
    after = Signer(new, issuer=ISSUER, audience=AUDIENCE, clock=clock)
    start = SlidingRenewal(before, settings, clock=clock).start("alice")
    verifier = Verifier([own_issuer(after), own_issuer(after, KeySet([old]))], clock=clock)
    renewal = SlidingRenewal(after, settings, clock=clock)
    app = JWTMiddleware(App(), verifier, renewal=renewal, hooks=[], clock=clock)
    first = verifier.verify(start.token)
    assert first.own
    clock.move(880)
    answer = await call(app, http(token=start.token))
    assert answer.status == 200
    assert answer.successor
    second = verifier.verify(answer.successor)
    assert (second.algorithm, second.own) == (new.alg, True)
    same = ("session_id", "subject", "auth_time")
    assert [getattr(first, n) for n in same] == [getattr(second, n) for n in same]
    assert first.claims["session_end"] == second.claims["session_end"]


async def test_a_session_goes_on_by_the_other_kind_of_key(clock: FakeClock) -> None:
    """HS256 to ES256 and back: the session keeps its id, its sign-in and its end."""
    await moved(SECRET, NEW, clock)
    await moved(NEW, SECRET, clock)


def test_j6_a_token_of_a_kind_that_only_other_workers_take_is_503() -> None:
    """A worker that was not told of the new kind must not sign its users out with 401."""
    signer = Signer(SECRET, issuer=ISSUER, audience=AUDIENCE)
    verifier = Verifier.trusting(signer, clock=lambda: NOW)
    token = make(Key.generate("ES256", kid="new"), good_claims())
    with pytest.raises(AlgorithmNotAllowed):
        verifier.verify(token)
    signer.keys.awaited = frozenset({"new"})
    with pytest.raises(Unavailable, match="takes no such alg"):
        verifier.verify(token)
    with pytest.raises(AlgorithmNotAllowed):
        verifier.verify(make(Key.generate("ES256", kid="other"), good_claims()))


@pytest.mark.parametrize("kind", ["folder", "store"])
async def test_v6_two_fetched_sets_of_one_issuer_share_no_snapshot(
    kind: str, tmp_path: Path
) -> None:
    """Through one folder or store, with one `iss`, the keys of one set never reach the other."""
    notes = MemoryStore().notes()
    share: Any = (
        tmp_path / "share" if kind == "folder" else StoreShare(notes, b"7" * 20 + b"abcdefghijkl")
    )
    rsa = Key.generate("RS256", kid="one")
    sets = {"/a": NEW, "/b": OTHER, "/c": rsa}

    async def serve(request: httpx2.Request) -> httpx2.Response:
        body = msgspec.json.encode(KeySet([sets[request.url.path]]).public_jwks())
        return httpx2.Response(200, stream=httpx2.ByteStream(body))

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(serve))
    for path, key in [*sets.items()] * 2:
        url = f"https://id.example{path}"
        keys = RemoteKeys(ISSUER, [key.alg], url=url, share=share, client=client)
        await keys.start()
        verifier = Verifier(keys.trust(AUDIENCE), clock=lambda: NOW)
        for other in sets.values():
            token = make(other, good_claims())
            if other is key:
                assert verifier.verify(token).key_id == "one"
            else:
                with pytest.raises((InvalidSignature, AlgorithmNotAllowed)):
                    verifier.verify(token)
        await keys.close()
    assert keys.snapshot() is not None


async def test_a_snapshot_moved_to_another_set_of_the_issuer_is_not_read() -> None:
    """Who writes the store without a secret cannot give one entry the keys of the other."""
    notes = MemoryStore().notes()
    options: dict[str, Any] = {
        "wait_seconds": 1,
        "lease_seconds": 1,
        "kept_seconds": 900,
        "most_bytes": 9999,
    }
    one, two = (StoreShare(notes, SECRET).of(ISSUER, name, **options) for name in ("a", "b"))
    async with one.turn():
        await one.write(Snapshot(issuer=ISSUER, jwks='{"keys":[]}', fetched_at=time.time()))
    assert await one.read() is not None
    assert await two.read() is None
    note = (await notes.read(one._kind))["set"]
    await notes.put(two._kind, "set", note.text, 900)
    assert await two.read() is None
    assert "damaged" in two.fault
