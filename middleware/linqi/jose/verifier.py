"""From an encoded token to a verified value, or to the reason why not."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Literal

from linqi._ranges import Range, Ranges, range_faults
from linqi.errors import (
    AlgorithmNotAllowed,
    BoundToken,
    ConfigurationError,
    InvalidSignature,
    LinqiError,
    MissingClaim,
    TokenError,
    TokenRevoked,
    Unavailable,
    UnknownIssuer,
    UnsupportedToken,
)
from linqi.events import Dispatcher, Event, Hook, RevocationFailed
from linqi.jose import claims as rules
from linqi.jose._claims_decoder import DecodedClaims
from linqi.jose._compact import decode_segment, parse_object, split_token, token_bytes
from linqi.jose._header import Header, parse_header
from linqi.jose.cache import VerifiedCache
from linqi.jose.claims import Registered
from linqi.jose.issuers import Profile, TrustedIssuer, own_issuer, prepare
from linqi.jose.key import Key
from linqi.jose.keys import FetchedKeys
from linqi.jose.limits import TokenLimits
from linqi.jose.longest_lifetime import check_lifetime, lifetime_source
from linqi.jose.signature_check import SignatureCheck
from linqi.jose.signer import Signer
from linqi.jose.verified import Origin, Verified

__all__ = ["Verifier"]

_MOST_HEADERS: Final = 256
_ABSENT: Final = object()
_MOST_SEEN: Final = 1_024
_LONGEST_SEEN: Final = 4_096
_TAIL: Final = slice(-24, None)
"""Characters at a token's end, of its signature, that tell tokens apart before they are compared:
hashing 24 takes 0.02 us, hashing 800 takes 0.2."""
_sha256 = hashlib.sha256


class Verifier:
    """Verifies tokens of trusted issuers and remembers the ones it verified.

    Not thread-safe: use one per event loop. `leeway` seconds (0 to 300) are granted for clocks
    that differ. `is_revoked` is asked on every verification, cached ones included; when it raises,
    ``on_revocation_error`` decides between refusing with `Unavailable` (``"closed"``) and serving
    (``"open"``), and `hooks` are called, with those of a middleware that uses the verifier.
    ``cache=None`` verifies every token anew.

    ``bound_tokens``: what becomes of tokens with ``cnf`` (RFC 7800), which are bound to a key whose
    possession is not proved here. ``"refuse"``, the default, raises `BoundToken`, so that a stolen
    DPoP or mTLS token does not work as a bearer token (RFC 9449, section 7.2); ``"accept"`` is for
    an API behind a gateway that has checked the proof.

    ``longest_lifetime``: own tokens that live longer (``exp - iat``, in seconds) are refused with
    `LifetimeExceeded`, and own tokens without ``iat`` with `MissingClaim`: they could outlive the
    revocation of their session. A number, or what gives the number that holds now. By default it is
    asked of the object whose method `is_revoked` is, if that knows it (`KnowsLifetime`, such as
    `Revocations`); else there is no bound.
    """

    RANGES: ClassVar[Ranges] = {"leeway": Range(0, 300, "seconds")}

    def __init__(
        self,
        issuers: TrustedIssuer | Sequence[TrustedIssuer],
        *,
        leeway: float = 0,
        cache: VerifiedCache | Literal["default"] | None = "default",
        limits: TokenLimits | None = None,
        is_revoked: Callable[[Verified], bool] | None = None,
        on_revocation_error: Literal["closed", "open"] = "closed",
        bound_tokens: Literal["refuse", "accept"] = "refuse",
        longest_lifetime: float | Callable[[], float] | None = None,
        hooks: Sequence[Hook] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        listed = (issuers,) if isinstance(issuers, TrustedIssuer) else tuple(issuers)
        faults = _faults(listed, leeway, on_revocation_error, bound_tokens)
        if isinstance(longest_lifetime, float | int) and not longest_lifetime > 0:
            faults.append(f"longest_lifetime is {longest_lifetime!r}, expected above 0 s")
        if faults:
            raise ConfigurationError(faults)
        self.cache = VerifiedCache() if cache == "default" else cache
        if self.cache is not None:
            self.cache.claim()
        self.leeway = leeway
        chosen = limits or TokenLimits()
        self._most_bytes, self._most_header_bytes = chosen.token_bytes, chosen.header_bytes
        self.issuers = listed
        self._profiles = {trusted.issuer: prepare(trusted) for trusted in listed}
        self._algorithms = frozenset(name for trusted in listed for name in trusted.algorithms)
        self._headers: dict[bytes, Header] = {}
        self._knows_all_headers = True
        self._seen: dict[bytes, tuple[bytes, bytes]] = {}
        self._is_revoked = is_revoked
        self._serves_on_error = on_revocation_error == "open"
        self._refuses_bound = bound_tokens == "refuse"
        self._events: Dispatcher[Event] = Dispatcher(hooks)
        self._longest_lifetime = lifetime_source(longest_lifetime, is_revoked)
        self._last_longest = math.inf
        self._clock = clock

    @classmethod
    def trusting(cls, signer: Signer, **options: Any) -> Verifier:
        """Give a verifier of exactly what `signer` signs; `options` as for the constructor.

        ``Verifier([own_issuer(signer), *others])`` trusts others as well.
        """
        return cls(own_issuer(signer), **options)

    @property
    def longest_lifetime(self) -> float:
        """The longest life of an own token that is let in now, in seconds; infinite unbounded."""
        return math.inf if self._longest_lifetime is None else self._longest_lifetime()

    @property
    def fetched_keys(self) -> tuple[FetchedKeys, ...]:
        """The key sets that are fetched, each once; somebody must start and close them."""
        found = {id(t.keys): t.keys for t in self.issuers if isinstance(t.keys, FetchedKeys)}
        return tuple(found.values())

    def listen(self, *hooks: Hook) -> None:
        """Call `hooks` too, for the fetched keys as well; each hook once."""
        self._events.add(*hooks)
        for keys in self.fetched_keys:
            keys.listen(*hooks)

    def verify(self, token: bytes | str) -> Verified:
        """Give the verified value of `token`, or raise a `TokenError` or `Unavailable`."""
        data = token if type(token) is bytes else token_bytes(token)
        cache = self.cache
        if cache is None:
            return self._verify_cold(data)
        tail = data[_TAIL]
        seen = self._seen.get(tail)
        # Compared is the whole token, and the entry is found by a digest of the whole token: a key
        # made of a part of it lets a forged token borrow a real one's entry (LiteLLM,
        # CVE-2026-35030). Remembering the digest of a token saves 0.6 of 1.3 us.
        if seen is not None and seen[0] == data:
            digest = seen[1]
            verified = cache.get(digest)
        else:
            if len(data) > self._most_bytes or (
                self._knows_all_headers and data[: data.find(b".")] not in self._headers
            ):
                # Refused before all of it is read (V14), or not in the cache for sure, as long as
                # the headers of all that are there are known: garbage is not worth a digest.
                return self._verify_cold(data)
            digest = _sha256(data).digest()
            verified = cache.get(digest)
            if verified is not None:
                self._keep_digest(tail, data, digest)
        if verified is None:
            return self._verify_cold(data, digest)
        self.recheck(verified)
        return verified

    def cached(self, token: bytes | str) -> Verified | None:
        """Give what `token` was verified as a moment ago, checked like any hit, or None."""
        if self.cache is None or len(token) > self._most_bytes:
            return None
        verified = self.cache.get(_sha256(token_bytes(token)).digest())
        if verified is not None:
            self.recheck(verified)
        return verified

    def signature_check(self, token: bytes | str) -> SignatureCheck:
        """Give what must hold before `accept` may be called; raises as `verify` does.

        All of this is quick; `SignatureCheck.holds` is what takes long, and any thread may ask it.
        """
        data = token_bytes(token)
        signed, first, second, last = split_token(data, self._most_bytes, self._most_header_bytes)
        header, profile = self._header_and_profile(first, second)
        signature = decode_segment(last)
        key = profile.keys.find(header.alg, header.kid)
        return SignatureCheck(data, _sha256(data).digest(), key, signed, signature)

    def algorithm_of(self, token: bytes | str) -> str:
        """Give the ``alg`` that the header of `token` names; nothing else of it is believed yet."""
        first = split_token(token_bytes(token), self._most_bytes, self._most_header_bytes)[1]
        return (self._headers.get(first) or self._read_header(first)).alg

    def verify_checked(self, proof: SignatureCheck, *, holds: bool) -> Verified:
        """Give the verified value of a token whose proof was checked elsewhere.

        Everything else is checked now, and the signature too where its key is another one by now.
        """
        if not holds:
            raise InvalidSignature(f"the {proof.algorithm} signature does not fit the issuer's key")
        return self._verify_cold(proof.token, proof.digest, by=proof.key)

    async def fetch_key(self, token: bytes | str) -> bool:
        """Wait for a fetch that may bring the key of `token`, if one may be made now.

        To be awaited after `verify` raised `UnknownKey` or `Unavailable`. One fetch serves all that
        wait for it; the cooldown of `RemoteKeys` bounds how often made-up key ids cause one.

        Returns:
            Whether a fetch was waited for, so that another `verify` may succeed.

        """
        data = token_bytes(token)
        _, first, second, _ = split_token(data, self._most_bytes, self._most_header_bytes)
        header, profile = self._header_and_profile(first, second)
        if profile.on_demand is None:
            return False
        return await profile.on_demand.fetch_for(header.alg, header.kid)

    def recheck(self, verified: Verified) -> None:
        """Raise if `verified` is expired, not valid yet or revoked just now."""
        now = self._clock()
        if now >= verified.expires_at or now < verified.valid_from:
            self._check_times(verified, now)
        if self._is_revoked is not None:
            try:
                revoked = self._is_revoked(verified)
            except Exception as error:  # noqa: BLE001 - whatever it throws is the same to the user
                self._on_revocation_error(error)
                return
            if revoked:
                if self.cache is not None:
                    self.cache.discard(verified.digest)
                raise TokenRevoked("the token or its session was revoked")

    def cache_issued(self, token: str) -> Verified:
        """Remember a token that this process has just signed, without checking the signature.

        Everything else is checked. The first request with the new token is then a hit, unless it
        is a token that `verify` refuses by ``bound_tokens`` or ``longest_lifetime``, which is not
        remembered.
        """
        return self._verify_cold(token_bytes(token), is_signed=True)

    def _verify_cold(
        self, data: bytes, digest: bytes = b"", *, is_signed: bool = False, by: Key | None = None
    ) -> Verified:
        signed, first, second, last = split_token(data, self._most_bytes, self._most_header_bytes)
        known = self._headers.get(first)
        header = known or self._read_header(first)
        signature = b"" if is_signed else decode_segment(last)
        payload = decode_segment(second)
        written = header.shape.read(payload)
        if written is None:
            claims = parse_object(payload, "payload")
            issuer = claims.get("iss", _ABSENT)
        else:
            claims, issuer = {}, written.iss
        profile = self._profile(issuer, header)
        key = profile.keys.find(header.alg, header.kid)
        is_proven = is_signed or key is by
        if not is_proven and not key.verify(signed, signature):
            raise InvalidSignature(f"the {header.alg} signature does not fit the issuer's key")
        read: DecodedClaims | Registered
        if written is not None and profile.accepts(written):
            read = written
        else:
            read = profile.read(claims or parse_object(payload, "payload"), payload)
            header.shape.learn(claims, payload)
        is_refused = self._refuses_bound and _is_bound(payload, claims)
        if is_refused and not is_signed:
            raise BoundToken("the token has the claim cnf, and no proof of possession is checked")
        origin = profile.origins.get(key) or profile.origin_of(key)
        verified = _verified(read, payload, digest or _sha256(data).digest(), origin)
        self.recheck(verified)
        if origin.own and self._longest_lifetime is not None and not is_refused:
            # After the check of revocations, which has the bound by then or raises `Unavailable`.
            is_refused = self._is_too_long(verified, is_signed=is_signed)
        if header is not known:
            self._keep_header(first, header)
        if self.cache is not None and not is_refused:
            self.cache.put(verified, profile.keys)
        return verified

    def _is_too_long(self, verified: Verified, *, is_signed: bool) -> bool:
        """Return whether an own token that was just signed lives too long; raise for any other."""
        longest = self.longest_lifetime
        if longest < self._last_longest and self.cache is not None:
            self.cache.clear()  # it may hold what was let in before the bound was known
        self._last_longest = longest
        try:
            check_lifetime(verified, longest)
        except TokenError:
            if not is_signed:
                raise
            return True
        return False

    def _read_header(self, segment: bytes) -> Header:
        """Read a header that is not known yet, and refuse an ``alg`` that no issuer may use."""
        header = parse_header(segment)
        if header.alg not in self._algorithms:
            raise AlgorithmNotAllowed("the header's alg is on no issuer's list")
        return header

    def _header_and_profile(self, first: bytes, second: bytes) -> tuple[Header, Profile]:
        """Read the header and find the issuer of a token from its first two segments."""
        header = self._headers.get(first) or self._read_header(first)
        claims = parse_object(decode_segment(second), "payload")
        return header, self._profile(claims.get("iss", _ABSENT), header)

    def _profile(self, issuer: object, header: Header) -> Profile:
        """Find whose token it is, and whether its issuer may use such a header."""
        profile = self._profiles.get(issuer) if type(issuer) is str else None
        if profile is None:
            if issuer is _ABSENT:
                raise MissingClaim("the claim iss is missing", "iss")
            raise UnknownIssuer("the claim iss names no trusted issuer")
        if header.alg not in profile.algorithms:
            raise AlgorithmNotAllowed("the header's alg is not on the issuer's list")
        if header.typ not in profile.types:
            raise UnsupportedToken("the header's typ is not an accepted one")
        return profile

    def _keep_digest(self, tail: bytes, token: bytes, digest: bytes) -> None:
        # Only of tokens that were verified and asked for again, so garbage cannot push them out.
        if len(token) > _LONGEST_SEEN:
            return
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen[tail] = (token, digest)

    def _keep_header(self, segment: bytes, header: Header) -> None:
        # Only headers of verified tokens are kept, so garbage cannot push them out.
        if len(self._headers) >= _MOST_HEADERS:
            self._headers.clear()
            self._knows_all_headers = False
        self._headers[segment] = header

    def _check_times(self, verified: Verified, now: float) -> None:
        rules.check_times(verified.expires_at, verified.valid_from, now, self.leeway)

    def _on_revocation_error(self, error: Exception) -> None:
        """Serve on where that is wanted, and else raise `Unavailable`."""
        detail = str(error) if isinstance(error, LinqiError) else type(error).__name__
        self._events(RevocationFailed(detail=detail))
        if not self._events:
            logging.getLogger("linqi").error("revocation check failed", exc_info=error)
        if self._serves_on_error:
            return
        if isinstance(error, Unavailable):
            raise error
        raise Unavailable(f"the revocation check raised {type(error).__name__}") from error


def _verified(
    read: DecodedClaims | Registered, payload: bytes, digest: bytes, by: Origin
) -> Verified:
    issued_at = valid_from = read.iat
    if read.nbf is not None:
        valid_from = max(read.nbf, issued_at or 0)
    return Verified(  # by position, in the order of its fields
        by,
        read.exp,
        issued_at,
        valid_from or 0,
        rules.split_scope(read.scope) if read.scope else (),
        payload,
        digest,
    )


def _is_bound(payload: bytes, claims: dict[str, Any]) -> bool:
    """Return whether the claims have ``cnf``; `claims` is empty where a `ClaimsShape` read them."""
    if claims:
        return "cnf" in claims
    # What a shape read holds no escape, so the name stands there as it is, if it does.
    return b'"cnf"' in payload and "cnf" in parse_object(payload, "payload")


def _faults(
    issuers: Sequence[TrustedIssuer], leeway: float, on_error: str, bound_tokens: str
) -> list[str]:
    faults = []
    if not issuers or not all(isinstance(trusted, TrustedIssuer) for trusted in issuers):
        faults.append("issuers is empty or holds something else than TrustedIssuer values")
    elif len({trusted.issuer for trusted in issuers}) < len(issuers):
        faults.append("two trusted issuers have the same issuer; merge them")
    faults += range_faults(Verifier.RANGES, {"leeway": leeway})
    if on_error not in ("closed", "open"):
        faults.append(f"on_revocation_error is {on_error!r}, expected 'closed' or 'open'")
    if bound_tokens not in ("refuse", "accept"):
        faults.append(f"bound_tokens is {bound_tokens!r}, expected 'refuse' or 'accept'")
    return faults
