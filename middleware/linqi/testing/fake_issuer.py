"""An outside issuer for tests: discovery, a key set, rotation and outages."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Self

from linqi.jose.claim_paths import ClaimPath, claim_path
from linqi.jose.issuer_template import template_of
from linqi.jose.issuers import AnyAudience, TrustedIssuer
from linqi.jose.key import Key
from linqi.jose.required_claims import RequiredClaims, wanted_values
from linqi.jwks.location import KeySetLocation
from linqi.jwks.remote import RemoteKeys
from linqi.sessions.renewal import RenewalSettings
from linqi.testing.attachment import attach_to
from linqi.testing.faults import CannotTest
from linqi.testing.issuer_answer import IssuerAnswer
from linqi.testing.parts import parts_of
from linqi.testing.tokens import claims_at, encode_token

__all__ = ["FakeIssuer", "IssuerClient"]

_KEYS_PATH: Final = "/keys"


class FakeIssuer:
    """An OpenID Connect issuer in this process, for applications that trust an outside one.

    What the application does with its answers is what it does in production: discovery, the
    comparison of the issuer, the limits, the cooldown, the verification.

    Args:
        issuer: The ``iss`` of its tokens; `attach` and `serving` change it.
        alg: The algorithm of its keys.
        audience: The ``aud`` of its tokens.
        max_age: For how many seconds the key set may be cached.
        clock: Returns Unix seconds.

    Attributes:
        discovery: The members of the discovery document; change one to make it wrong.
        requests: How often each document was requested: ``discovery``, ``keys``, ``other``.
        published: The keys of the key set, the newest last.

    """

    def __init__(
        self,
        issuer: str = "https://issuer.test",
        *,
        alg: str = "ES256",
        audience: str = "api",
        max_age: int = 300,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.audience = audience
        self.max_age = max_age
        self.discovery: dict[str, Any] = {}
        self.requests: Counter[str] = Counter()
        self._clock = clock
        self._type = "at+jwt"
        self._required: RequiredClaims = ()
        self._tenant = "tenant"
        self._scope_path: ClaimPath = ("scope",)
        self._outage: int | str = 0
        self._seconds = 0.0
        self._open = contextlib.ExitStack()
        self._attached: list[RemoteKeys] = []
        self.identify(KeySetLocation(issuer=issuer))
        self.alg = alg
        self.key = Key.generate(alg)
        self.published: tuple[Key, ...] = (self.key,)

    def identify(self, location: KeySetLocation) -> None:
        """Be the issuer of `location`, with the key set or the metadata at its URL."""
        self._location = location
        issuer = self.issuer = location.issuer
        base = location.metadata_url.partition("/.well-known/")[0]
        self.keys_url = location.url or base.rstrip("/") + _KEYS_PATH
        self.discovery = {
            "issuer": issuer,
            "jwks_uri": self.keys_url,
            "authorization_endpoint": issuer.rstrip("/") + "/authorize",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def attach(self, app: object, issuer: str | None = None) -> Self:
        """Answer the key requests of `app` in the place of its outside issuer, without a socket.

        Until `close`, which gives the application its own connections and keys back. The
        application knows no key at first, as after a start.

        Args:
            app: The application, its middleware, or a test client of it.
            issuer: The ``iss`` of the one to stand in for, where it trusts several.

        Raises:
            CannotTest: `app` trusts no outside issuer, or several and none was named.

        """
        outside = {
            trusted.issuer: (trusted, trusted.keys)
            for trusted in parts_of(app).verifier.issuers
            if isinstance(trusted.keys, RemoteKeys)
        }
        names = [issuer] if issuer is not None else [*outside]
        if len(names) != 1 or names[0] not in outside:
            raise CannotTest(
                f"the application trusts {len(outside)} outside issuers"
                f" ({', '.join(outside) or 'none'}), so name one of them to stand in for"
            )
        trusted, keys = outside[names[0]]
        self._become(trusted, keys)
        self._open.callback(attach_to(keys, self.client))
        self._attached.append(keys)
        return self

    def stands_in_for(self, app: object) -> bool:
        """Return whether it is attached to `app`."""
        trusted = parts_of(app).verifier.issuers
        return any(one.keys is keys for one in trusted for keys in self._attached)

    @contextlib.contextmanager
    def serving(self) -> Iterator[Self]:
        """Serve on a loopback port, for an application in another process.

        The issuer then is ``http://127.0.0.1:PORT``, which `RemoteKeys` accepts.
        """
        from linqi.testing.issuer_server import serving

        before = self._location
        with serving(self) as url:
            self.identify(KeySetLocation(issuer=url))
            try:
                yield self
            finally:
                self.identify(before)

    def close(self) -> None:
        """Detach from all applications."""
        self._open.close()
        self._attached.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def client(self) -> IssuerClient:
        """The HTTP client for ``RemoteKeys(client=)``, or for ``http_client=`` of `wrap`."""
        return IssuerClient(self)

    def token(
        self,
        subject: str = "alice",
        *,
        scopes: Sequence[str] = (),
        claims: Mapping[str, Any] | None = None,
        near_expiry: bool = False,
        expired: bool = False,
        key: Key | None = None,
    ) -> str:
        """Return a token for `subject`; the arguments are those of `make_token`.

        Args:
            subject: The ``sub``.
            scopes: The ``scope``, or the first claim from which the application reads scopes.
            claims: Added, or instead of what the token would have; ``...`` leaves one out.
            near_expiry: Whether it is in the last 5 minutes of its life.
            expired: Whether it expired a second ago.
            key: Signs instead of the current key, such as one that was withdrawn.

        """
        expected = _met(self._required)
        if self._scope_path != ("scope",):
            _put(expected, self._scope_path, [*scopes])
            scopes = ()
        content = claims_at(
            self._clock(),
            subject,
            RenewalSettings(),
            scopes=scopes,
            claims={"aud": self.audience} | expected | self._identity(claims or {}),
            near_expiry=near_expiry,
            expired=expired,
        )
        used = key or self.key
        return encode_token(used, content, {"alg": used.alg, "kid": used.kid, "typ": self._type})

    def _identity(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        """Return `claims` with an ``iss``: of the tenant that they name, if there are tenants."""
        template = template_of(self.issuer)
        if template is None:
            return {"iss": self.issuer} | dict(claims)
        tenant = claims.get(template.claim, self._tenant)
        return {"iss": template.issuer_of(str(tenant)), template.claim: tenant} | dict(claims)

    def rotate(self, *, publish: bool = True) -> Key:
        """Sign with a new key from now on, and return it; the old ones stay published.

        Args:
            publish: False leaves the new key out of the key set, as a replica that lags does.

        """
        self.key = Key.generate(self.alg)
        if publish:
            self.published = (*self.published, self.key)
        return self.key

    def withdraw(self, *kids: str) -> None:
        """Remove keys from the key set: all but the current one, or those named."""
        gone = kids or [key.kid for key in self.published if key is not self.key]
        self.published = tuple(key for key in self.published if key.kid not in gone)

    def down(self, status: int | None = None) -> None:
        """Fail from now on: with an HTTP `status`, or without any response."""
        self._outage = status or "refused"

    def slow(self, seconds: float) -> None:
        """Take `seconds` for every response from now on."""
        self._seconds = seconds

    def up(self) -> None:
        """Respond again, and at once."""
        self._outage, self._seconds = 0, 0.0

    def answer(self, url: str, headers: Mapping[str, str]) -> IssuerAnswer:
        """Return the response to a GET of `url`.

        Raises:
            ConnectionRefusedError: The issuer is down.

        """
        if url == self.keys_url:
            kind, content = "keys", self._key_set()
        elif url == self._location.metadata_url:
            kind, content = "discovery", self.discovery
        else:
            kind, content = "other", {}
        self.requests[kind] += 1
        if isinstance(self._outage, str):
            raise ConnectionRefusedError(f"{self.issuer} is down")
        if self._outage or kind == "other":
            return IssuerAnswer(status=self._outage or 404, headers={}, body=b"{}")
        body = json.dumps(content).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        is_known = headers.get("if-none-match") == etag
        return IssuerAnswer(
            status=304 if is_known else 200,
            headers={
                "content-type": "application/json",
                "cache-control": f"public, max-age={self.max_age}",
                "etag": etag,
            },
            body=b"" if is_known else body,
        )

    def _key_set(self) -> dict[str, Any]:
        if self._location.keys_format == "certificates":
            return {key.kid: key.public_pem() for key in self.published}
        return {"keys": [key.public_jwk() for key in self.published]}

    @property
    def seconds(self) -> float:
        """How long each response takes."""
        return self._seconds

    def _become(self, trusted: TrustedIssuer, keys: RemoteKeys) -> None:
        """Take over the identity of a trusted issuer, so that its tokens are accepted."""
        audience = trusted.audience
        if not isinstance(audience, AnyAudience):
            self.audience = audience if isinstance(audience, str) else audience[0]
        if self.alg not in keys.algorithms:
            self.alg = keys.algorithms[0]
            self.key = Key.generate(self.alg)
            self.published = (self.key,)
        if trusted.types and self._type not in [name.lower() for name in trusted.types]:
            self._type = trusted.types[0]
        self._required = trusted.required_claims
        if isinstance(trusted.tenants, Collection):
            self._tenant = next(iter(trusted.tenants))
        self._scope_path = claim_path([*trusted.scope_claims, "scope"][0])
        self.identify(keys.location)

    def __repr__(self) -> str:
        return f"<FakeIssuer {self.issuer}>"


class IssuerClient:
    """The part of `httpx2.AsyncClient` that key requests use, answered by a `FakeIssuer`."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self._issuer = issuer

    @contextlib.asynccontextmanager
    async def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], **_: object
    ) -> AsyncIterator[_Response]:
        """Return the response to one request."""
        if self._issuer.seconds:
            await asyncio.sleep(self._issuer.seconds)
        yield _Response(self._issuer.answer(url, headers))

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""


class _Response:
    def __init__(self, answer: IssuerAnswer) -> None:
        self.status_code = answer.status
        self.headers = answer.headers
        self._body = answer.body

    async def aiter_raw(self) -> AsyncIterator[bytes]:
        """Yield the body."""
        yield self._body


def _met(required: RequiredClaims) -> dict[str, Any]:
    """Return values with which the required claims are there."""
    found: dict[str, Any] = {}
    for path, wanted in wanted_values(required):
        if wanted is not None:
            is_one = isinstance(wanted, str | int | float)
            _put(found, path, wanted if is_one else next(iter(wanted)))
        elif path[0] not in {"sub", "iat", "jti", "sid"}:
            _put(found, path, "test")
    return found


def _put(claims: dict[str, Any], path: ClaimPath, value: Any) -> None:
    """Set the claim at `path`; a list is added to the value that is there."""
    for name in path[:-1]:
        claims = claims.setdefault(name, {})
    held = claims.get(path[-1])
    claims[path[-1]] = [held, *value] if isinstance(value, list) and held is not None else value
