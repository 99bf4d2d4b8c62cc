"""The verifier: returns the verified value of a token, or raises why it is refused."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from linqi import events
from linqi._ranges import Range, Ranges, range_faults
from linqi.errors import (
    BoundToken,
    ConfigurationError,
    InvalidSignature,
    StaleClaims,
    TokenRevoked,
    Unavailable,
    UnknownKey,
)
from linqi.events.dispatcher import Dispatcher
from linqi.jose._compact import decode_segment, parse_object, split_any, split_token, token_bytes
from linqi.jose._header import Header, parse_header
from linqi.jose.age import check_age
from linqi.jose.cache import CacheWatcher, VerifiedCache
from linqi.jose.claims import LONGEST_LEEWAY, DecodedClaims, Registered
from linqi.jose.issuers import Profile, TrustedIssuer, own_issuer
from linqi.jose.key import Key
from linqi.jose.keys import FetchedKeys, KeySet
from linqi.jose.limits import TokenLimits
from linqi.jose.longest_lifetime import LifetimeBound, raise_lifetime, source_faults
from linqi.jose.revocation_fault import RevocationFault
from linqi.jose.signature_check import SignatureCheck
from linqi.jose.signer import Signer
from linqi.jose.trust import Trust
from linqi.jose.trust_faults import trusted_faults
from linqi.jose.verified import OPAQUE, RenewalSchedule, Verified, verified_from

if TYPE_CHECKING:
    from linqi.events import Event, Hook
    from linqi.jose.bridge import Bridge
    from linqi.jose.opaque import OpaqueTokens
    from linqi.jose.opaque_issuer import OpaqueIssuer

__all__ = ["Verifier"]

_MOST_HEADERS: Final = 256
_NONE: Final[dict[str, Any]] = {}
_sha256 = hashlib.sha256


class Verifier:
    """Verifies tokens of trusted issuers, and caches the verified ones.

    Not thread-safe: use one verifier per event loop.

    Args:
        issuers: One issuer or several; two entries of one ``iss`` if they share no algorithm. An
            `OpaqueIssuer` is asked about its tokens.
        leeway: Seconds by which clocks may differ, 0 to 300.
        cache: None verifies every token again.
        limits: The longest token and header that are read.
        is_revoked: Called on every verification, also of a cached token.
        on_revocation_error: What happens if `is_revoked` raises: ``"closed"`` refuses the token
            with `Unavailable`, ``"open"`` accepts it. `RevocationFailed` is sent in both cases.
        bound_tokens: What happens to tokens with ``cnf`` (RFC 7800), which are bound to a key whose
            possession is not checked here. ``"refuse"`` raises `BoundToken`, so that a stolen DPoP
            or mTLS token is no bearer token (RFC 9449, section 7.2); ``"accept"`` is for an API
            behind a gateway that has checked the proof.
        longest_lifetime: Seconds of ``exp - iat``, or a function that returns the current number.
            Own tokens that live longer are refused with `LifetimeExceeded`, and own tokens without
            ``iat`` with `MissingClaim`: they could outlive the revocation of their session. By
            default that of the object whose method `is_revoked` is, if it is a `KnowsLifetime` such
            as `Revocations`; else there is no bound.
        hooks: Receive `RevocationFailed`; a middleware that uses the verifier adds its own.
        clock: Returns Unix seconds.

    Raises:
        ConfigurationError: An argument is out of range, or two entries of one issuer share an
            algorithm.

    """

    RANGES: ClassVar[Ranges] = {"leeway": Range(0, LONGEST_LEEWAY, "seconds")}

    def __init__(
        self,
        issuers: TrustedIssuer | OpaqueIssuer | Sequence[TrustedIssuer | OpaqueIssuer],
        *,
        leeway: float = 0,
        cache: VerifiedCache | Literal["default"] | None = "default",
        limits: TokenLimits | None = None,
        is_revoked: Callable[[Verified], bool] | None = None,
        on_revocation_error: Literal["closed", "open"] = "closed",
        bound_tokens: Literal["refuse", "accept"] = "refuse",
        longest_lifetime: float | Callable[[], float] | None = None,
        bridge: Bridge | None = None,
        hooks: Sequence[Hook] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        listed = tuple(issuers) if isinstance(issuers, Sequence) else (issuers,)
        faults = trusted_faults(listed, on_revocation_error, bound_tokens)
        faults += range_faults(self.RANGES, {"leeway": leeway})
        faults += source_faults(longest_lifetime, is_revoked)
        if faults:
            raise ConfigurationError(faults)
        self.cache = VerifiedCache() if cache == "default" else cache
        if self.cache is not None:
            self.cache.claim()
        self.leeway = leeway
        chosen = limits or TokenLimits()
        self._most_bytes, self._most_header_bytes = chosen.token_bytes, chosen.header_bytes
        self.token_bytes = chosen.token_bytes
        self.issuers = tuple(one for one in listed if isinstance(one, TrustedIssuer))
        self.bridge = bridge
        over = None if bridge is None else bridge.over(self.issuers, leeway, clock)
        self._trust = Trust(self.issuers, over)
        self._split = split_any if self._trust.takes_padding else split_token
        self._headers: dict[bytes, Header] = {}
        self._keyless: tuple[bytes, Header, Profile] | None = None  # the last token without a key
        self._is_revoked = is_revoked
        self._refuses_bound = bound_tokens == "refuse"
        self.opaque: OpaqueTokens | None = None
        self._verify_uncached: Callable[..., Verified] = self._verify_cold
        if asked := [one for one in listed if not isinstance(one, TrustedIssuer)]:
            from linqi.jose.opaque import OpaqueTokens

            self.opaque = OpaqueTokens(asked, self.token_bytes, bound_tokens)
            self._verify_uncached = self._verify_either
        self._events: Dispatcher[Event] = Dispatcher(hooks)
        self._on_revocation_error = RevocationFault(self._events, on_revocation_error)
        self._bound = LifetimeBound(longest_lifetime, is_revoked, self._forget)
        if bridge is not None:
            raise_lifetime(is_revoked, bridge.lifetime)
        self._schedule: RenewalSchedule | None = None
        self.clock = clock

    @classmethod
    def trusting(
        cls, signer: Signer, *, verify_keys: KeySet | None = None, **options: Any
    ) -> Verifier:
        """Return a verifier of exactly what `signer` signs, by its clock.

        ``Verifier([own_issuer(signer), *others])`` trusts other issuers as well.

        Args:
            signer: The signer of this deployment.
            verify_keys: Keys of the other kind (secrets or asymmetric keys), while the deployment
                moves from HS256 to ES256 or back: their tokens are own tokens too.
            options: As for the constructor; `clock` is the signer's unless it is here.

        """
        issuers = [own_issuer(signer)]
        if verify_keys is not None:
            issuers.append(own_issuer(signer, verify_keys))
        return cls(issuers, **{"clock": signer.clock} | options)

    @property
    def longest_lifetime(self) -> float:
        """The current longest lifetime of an own token in seconds; infinite without a bound."""
        return self._bound.current

    @property
    def revocation_check(self) -> Callable[[Verified], bool] | None:
        """The function `is_revoked`; None if no token is revoked."""
        return self._is_revoked

    @property
    def fetched_keys(self) -> tuple[FetchedKeys, ...]:
        """The sources of fetched keys and of answers, each once; to be started and closed."""
        sources = [t.keys for t in self.issuers]
        sources += [] if self.opaque is None else self.opaque.sources
        found = {id(one): one for one in sources if isinstance(one, FetchedKeys)}
        return tuple(found.values())

    def listen(self, *hooks: Hook) -> None:
        """Call `hooks` too, also with events of what is fetched; each hook once."""
        self._events.add(*hooks)
        for keys in self.fetched_keys:
            keys.listen(*hooks)
        for hook in hooks:
            if self.cache is not None and isinstance(hook, CacheWatcher):
                hook.watch_cache(self.cache)

    def schedule(self, schedule: RenewalSchedule) -> None:
        """Compute the `Verified.due_at` of every token by `schedule`; a middleware calls this.

        Raises:
            ConfigurationError: Another schedule is in force, of a middleware with other settings.

        """
        if self._schedule is None:
            self._schedule = schedule
            self._forget()  # what was cached has no due time
        elif self._schedule != schedule:
            raise ConfigurationError(
                ["the verifier serves a renewal with other settings; make a verifier for each"]
            )

    def verify(self, token: bytes | str) -> Verified:
        """Return the verified value of `token`.

        Raises:
            TokenError: The token is refused.
            Unavailable: The keys of its issuer, or revocations, are not available.

        """
        data = token if type(token) is bytes else token_bytes(token)
        cache = self.cache
        if cache is None or len(data) > self._most_bytes:
            return self._verify_uncached(data)
        # The cache key is a digest of the whole token: with a key of a part of it a forged token
        # gets the entry of a real one (LiteLLM, CVE-2026-35030).
        digest = _sha256(data).digest()
        verified = cache.get(digest)
        if verified is None:
            return self._verify_uncached(data, digest)
        self.recheck(verified)
        return verified

    def cached(self, token: bytes | str) -> Verified | None:
        """Return the cached value of `token`, checked like any hit; None if it is not cached."""
        if self.cache is None or len(token) > self._most_bytes:
            return None
        verified = self.cache.get(_sha256(token_bytes(token)).digest())
        if verified is not None:
            self.recheck(verified)
        return verified

    def signature_check(self, token: bytes | str) -> SignatureCheck:
        """Return the signature check of `token` for another thread; raises as `verify` does.

        `SignatureCheck.holds` takes long and may run in any thread; pass its result to
        `verify_checked`.
        """
        data = token_bytes(token)
        signed, first, second, last = self._split(data, self._most_bytes)
        header, profile = self._header_and_profile(first, second)
        signature = decode_segment(last)
        key = profile.keys.find(header.alg, header.kid)
        return SignatureCheck(data, _sha256(data).digest(), key, signed, signature)

    def algorithm_of(self, token: bytes | str) -> str:
        """Return the unverified ``alg`` in the header of `token`, ``opaque`` for an opaque one."""
        data = token_bytes(token)
        if self.opaque is not None and self.opaque.entry_for(data) is not None:
            return OPAQUE
        first = self._split(data, self._most_bytes)[1]
        return (self._headers.get(first) or self._read_header(first)).alg

    def verify_checked(self, proof: SignatureCheck, *, holds: bool) -> Verified:
        """Return the verified value of a token whose signature check returned `holds`.

        Everything else is checked now, and the signature again if its key was replaced meanwhile.
        """
        if not holds:
            raise InvalidSignature(f"the {proof.algorithm} signature does not fit the issuer's key")
        return self._verify_cold(proof.token, proof.digest, by=proof.key)

    async def fetch_key(self, token: bytes | str) -> bool:
        """Wait for a fetch that may bring the key of `token`, if one may be made now.

        To be awaited after `verify` raised `UnknownKey` or `Unavailable`. One fetch serves all that
        wait for it; the cooldown of `RemoteKeys` bounds how often made-up key ids cause one. The
        issuer of an opaque token is asked about it.

        Returns:
            Whether a fetch was waited for, so that another `verify` may succeed.

        """
        data = token_bytes(token)
        if self.opaque is not None and (entry := self.opaque.entry_for(data)) is not None:
            return await entry.source.ask(data, _sha256(data).digest())
        if self._keyless is not None and self._keyless[0] == data:
            # Reading it again would double what a token with a made-up key id costs.
            _, header, profile = self._keyless
        else:
            _, first, second, _ = self._split(data, self._most_bytes)
            header, profile = self._header_and_profile(first, second)
        if profile.on_demand is None:
            return False
        return await profile.on_demand.fetch_for(header.alg, header.kid)

    def recheck(self, verified: Verified) -> None:
        """Raise if `verified` is now expired, not valid yet, revoked, or its claims are stale."""
        now = self.clock()
        # `check_age` decides; comparing here first, without leeway, saves its call: about 0.3 us
        # of a hit.
        if now >= verified.expires_at or now < verified.valid_from:
            check_age(verified, now, self.leeway, self.bridge, self._schedule)
        if self._is_revoked is not None:
            try:
                revoked = self._is_revoked(verified)
            except StaleClaims:
                raise
            except Exception as error:  # noqa: BLE001 - every error of it means unknown
                self._on_revocation_error(error)
                return
            if revoked:
                raise TokenRevoked("the token or its session was revoked")

    def check_lifetime(self, verified: Verified) -> None:
        """Raise if an own token, which was not accepted because of `StaleClaims`, lives too long.

        To be called before it is renewed: that check comes behind the one of revocations.
        """
        self._bound.is_exceeded(verified, is_signed=False)

    def cache_issued(self, token: str) -> Verified:
        """Cache a token that this process has just signed, without checking the signature.

        Everything else is checked. The first request with the token is then a hit, unless `verify`
        refuses it by ``bound_tokens`` or ``longest_lifetime``: such a token is not cached.
        """
        return self._verify_cold(token_bytes(token), is_signed=True)

    def _verify_either(self, data: bytes, digest: bytes = b"") -> Verified:
        """Return the verified value of a token, by the keys of its issuer or by its answer."""
        if self.opaque is None or (entry := self.opaque.entry_for(data)) is None:
            return self._verify_cold(data, digest)
        verified, until = entry.verified(digest or _sha256(data).digest())
        self.recheck(verified)
        if self.cache is not None:
            self.cache.put(verified, entry.source, until)
        return verified

    def _verify_cold(
        self, data: bytes, digest: bytes = b"", *, is_signed: bool = False, by: Key | None = None
    ) -> Verified:
        signed, first, second, last = self._split(data, self._most_bytes)
        known = self._headers.get(first)
        header = known or self._read_header(first)
        payload, signature = decode_segment(second), decode_segment(last)
        shape, is_refused = header.shape, False
        read: DecodedClaims | Registered | None = shape.read(payload)
        profile, claims = shape.profile, _NONE
        if read is None or profile is None:
            claims = parse_object(payload, "payload")
            profile = self._trust.profile_for(claims, header)
        try:
            key = profile.keys.find(header.alg, header.kid)
        except (UnknownKey, Unavailable):
            self._keyless = data, header, profile
            raise
        if not (is_signed or key is by or key.verify(signed, signature)):
            raise InvalidSignature(f"the {header.alg} signature does not fit the issuer's key")
        if read is None:
            claims, payload = profile.translated(claims, payload, signed)
            read = profile.read(claims, payload)
            if header is known:  # a header of its own for each token would declare types for ever
                shape.learn(claims, payload, profile)
            is_refused = self._refuses_bound and "cnf" in claims
        if is_refused and not is_signed:
            raise BoundToken("the token has the claim cnf, and no proof of possession is checked")
        origin = profile.origins.get(key) or profile.origin_of(key)
        digest = digest or _sha256(data).digest()
        verified = verified_from(read, payload, digest, origin, self._schedule)
        self.recheck(verified)
        if origin.own and not is_refused:
            # After the check of revocations, which raises `Unavailable` while the bound is unknown.
            is_refused = self._bound.is_exceeded(verified, is_signed=is_signed)
        if header is not known and header.alb is None:
            self._keep_header(first, header)
        if self.cache is not None and not is_refused:
            self.cache.put(verified, profile.keys)
        return self._report_bridged(verified) if origin.bridged else verified

    def _report_bridged(self, verified: Verified) -> Verified:
        left = verified.expires_at - self.clock()
        user, session = verified.identity, verified.session_id or ""
        self._events(events.TokenBridged(user=user, session=session, seconds_left=left))
        return verified

    def _forget(self) -> None:
        if self.cache is not None:
            self.cache.clear()

    def _read_header(self, segment: bytes) -> Header:
        """Return the header in `segment`; raise if no issuer may use its ``alg``."""
        header = parse_header(segment, self._most_header_bytes)
        if header.alg not in self._trust.algorithms:
            raise self._trust.refusal_of(header)
        return header

    def _header_and_profile(self, first: bytes, second: bytes) -> tuple[Header, Profile]:
        """Return the header and the issuer's profile of a token, from its first two segments."""
        header = self._headers.get(first) or self._read_header(first)
        claims = parse_object(decode_segment(second), "payload")
        return header, self._trust.profile_for(claims, header)

    def _keep_header(self, segment: bytes, header: Header) -> None:
        # Only headers of verified tokens are kept, so garbage cannot push them out.
        if len(self._headers) >= _MOST_HEADERS:
            self._headers.clear()
        self._headers[segment] = header
