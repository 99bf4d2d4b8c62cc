"""The tables of ``linqi.toml`` about HTTP: cookies, headers, paths, sign-in limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from linqi.asgi._http import PathRules
from linqi.asgi.client_address import read_networks
from linqi.asgi.middleware import JWTMiddleware
from linqi.asgi.quiet import QuietRequests
from linqi.asgi.refusal_format import STYLES, RefusalFormat
from linqi.asgi.refusal_language import LANGUAGE_TAG
from linqi.asgi.routes import SessionRoutes
from linqi.asgi.throttle import LoginThrottle
from linqi.asgi.transports import (
    CookieTransport,
    HeaderTransport,
    NamedHeaderTransport,
    SubprotocolTransport,
)
from linqi.config.setting import VARIABLE, arguments_for, number, setting
from linqi.config.value_types import Boolean, Choice, Numbers, String, StringList, Texts
from linqi.sessions.attempts import AttemptLimit

__all__ = [
    "CookiesTable",
    "HttpTable",
    "PathsTable",
    "ThrottleTable",
]

_PRINTABLE: Final = r"[ !#-\[\]-~]+"
_COOKIE: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TOKEN_HEADER: Final = rf"{_COOKIE}(: {_COOKIE})?"
_ORIGIN: Final = r"https?://[!-.0-@\[-~]+"
"""Lower-case ASCII, as browsers send it, without a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CookiesTable:
    """The cookies of access tokens (where [http] accept has "cookie") and of refresh tokens."""

    origins: tuple[str, ...] = setting(
        StringList(
            "a list of origins such as https://shop.example, without a path", pattern=_ORIGIN
        ),
        "The origins whose pages may use the cookies.",
        of=(CookieTransport, "origins"),
        default=(),
        example=("https://shop.example",),
    )
    access_name: str = setting(
        String("a cookie name", _COOKIE),
        "The cookie of access tokens.",
        of=(CookieTransport, "name"),
    )
    previous_name: str | None = setting(
        String("a cookie name", _COOKIE),
        "The cookie in which an earlier system put the tokens of [bridge]; read where the cookie of"
        " access tokens is absent, and deleted as soon as that is set.",
        of=(CookieTransport, "previous_name"),
        example="fastapiusersauth",
    )
    access_secure: bool = setting(
        Boolean(),
        "Off only for development on loopback, with a name without __Host-.",
        of=(CookieTransport, "secure"),
    )
    refresh_name: str = setting(
        String("a cookie name that begins with __Host- unless refresh_secure is false", _COOKIE),
        "The cookie of refresh tokens; it is always HttpOnly and SameSite=Strict.",
        of=(SessionRoutes, "cookie_name"),
    )
    refresh_secure: bool = setting(
        Boolean(),
        "Off only for development on loopback, with a refresh_name without __Host- and origins on"
        " loopback; requests for other hosts are refused.",
        of=(SessionRoutes, "cookie_secure"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTable:
    """Where requests carry tokens, and what responses contain."""

    accept: tuple[str, ...] = setting(
        StringList(
            'a list of "header", "cookie" and "subprotocol"',
            ("header", "cookie", "subprotocol"),
            least=1,
        ),
        "Where a request may carry its token; a request with two is refused.",
        default=("header",),
    )
    token_headers: tuple[str, ...] = setting(
        StringList(
            'a list of header names, each with its scheme if it has one ("Authorization: Bearer")',
            pattern=_TOKEN_HEADER,
            least=1,
        ),
        'Where accept has "header": the headers that carry tokens. A proxy\'s own header proves'
        " nothing by being there; the token in it is verified.",
        default=("Authorization: Bearer",),
    )
    token_origins: tuple[str, ...] = setting(
        StringList(
            "a list of origins such as https://shop.example, without a path", pattern=_ORIGIN
        ),
        "For token_headers other than Authorization that a proxy makes of a cookie: the origins"
        " whose pages may send them (CSRF). By default origins are not looked at.",
        of=(NamedHeaderTransport, "origins"),
        default=(),
        example=("https://shop.example",),
    )
    successor_header: str = setting(
        String("a header name"),
        "The response header that carries a successor token.",
        of=(HeaderTransport, "successor_header"),
        validate=HeaderTransport,
    )
    subprotocol: str = setting(
        String("a subprotocol name"),
        "The WebSocket subprotocol that stands before the token in the list that a client offers.",
        of=(SubprotocolTransport, "marker"),
        validate=SubprotocolTransport,
    )
    expose_to: tuple[str, ...] = setting(
        StringList(
            "a list of origins such as https://app.example, without a path", pattern=_ORIGIN
        ),
        "Origins whose scripts may read the successor's header (CORS).",
        of=(JWTMiddleware, "expose_to"),
        example=("https://app.example",),
    )
    realm: str = setting(
        String("printable ASCII without quotes and backslashes", _PRINTABLE),
        "The realm of a 401's challenge.",
        of=(JWTMiddleware, "realm"),
    )
    refusal_format: str = setting(
        Choice(STYLES),
        "The bodies of refused requests: the error of RFC 6750, problem+json (RFC 9457), FastAPI's"
        " detail, or an envelope of code, msg and data.",
        of=(RefusalFormat, "style"),
    )
    refusal_language: str = setting(
        String("a language tag such as zh-CN", LANGUAGE_TAG.pattern),
        "The language of their texts, where Accept-Language does not choose another.",
        of=(RefusalFormat, "language"),
    )
    refusal_negotiate: bool = setting(
        Boolean(),
        "Whether Accept-Language chooses among en, zh-CN and the languages of refusal_texts.",
        of=(RefusalFormat, "negotiate"),
    )
    refusal_type_base: str | None = setting(
        String("a URI such as https://api.example/errors/"),
        "For problem: comes before the code in type. By default type is about:blank.",
        of=(RefusalFormat, "type_base"),
        example="https://api.example/errors/",
    )
    refusal_texts: Mapping[str, Mapping[str, str]] = setting(
        Texts(),
        "Texts by language and code, as in [http.refusal_texts.zh-CN]; they complete or replace"
        " those of linqi.",
        of=(RefusalFormat, "texts"),
        default={},
        example={"zh-CN": {"no_token": "请先登录"}},
    )
    refusal_numbers: Mapping[str, int] = setting(
        Numbers(),
        "For envelope: the integers of codes; a code without one is sent as text.",
        of=(RefusalFormat, "numbers"),
        default={},
        example={"no_token": 40100, "token_expired": 40101},
    )
    resource_metadata: str | None = setting(
        String("an https URL"),
        "The URL of the resource's metadata in every challenge (RFC 9728), where another program"
        " serves the document.",
        of=(JWTMiddleware, "resource_metadata"),
        example="https://api.example/.well-known/oauth-protected-resource",
    )
    skip_cacheable: bool = setting(
        Boolean(),
        "Put no successor into responses that the application marked as cacheable; the next one"
        " carries it.",
        of=(JWTMiddleware, "skip_cacheable"),
    )
    quiet_header: str | None = setting(
        String("a header name that begins with X-"),
        "The request header by which a client marks a request that must not extend the session. By"
        " default there is none.",
        of=(JWTMiddleware, "quiet_header"),
        validate=lambda name: QuietRequests(header=name),
        example="X-Quiet",
    )
    socket_check_seconds: float = number(
        "How often the session of an open WebSocket or event stream is checked.",
        of=(JWTMiddleware, "check_seconds"),
    )
    end_streams: bool = setting(
        Boolean(),
        "Whether a text/event-stream response ends with its token; other responses do not.",
        of=(JWTMiddleware, "end_streams"),
    )
    stream_grace_seconds: float = number(
        "How long such a stream may continue after exp, to take a successor; never past the end of"
        " the session, and not after a revocation.",
        of=(JWTMiddleware, "stream_grace_seconds"),
    )

    def settings(self) -> RefusalFormat:
        """Return the format of the bodies of refused requests."""
        return RefusalFormat(**arguments_for(RefusalFormat, self))


@dataclass(frozen=True, slots=True, kw_only=True)
class PathsTable:
    """The paths that need no token; all others do."""

    public: tuple[str, ...] = setting(
        StringList("a list of paths such as /login or /static/*"),
        "Paths whose tokens are not verified: exact, or all below a segment with /*.",
        of=(JWTMiddleware, "public"),
        validate=lambda paths: PathRules(paths, ()),
        example=("/login",),
    )
    optional: tuple[str, ...] = setting(
        StringList("a list of paths such as /news or /news/*"),
        "Paths on which a token is verified if there is one.",
        of=(JWTMiddleware, "optional"),
        validate=lambda paths: PathRules((), paths),
        example=("/news",),
    )
    quiet: tuple[str, ...] = setting(
        StringList("a list of paths such as /notifications or /events/*"),
        "Paths whose requests never extend a session, such as polls of a page.",
        of=(JWTMiddleware, "quiet"),
        validate=QuietRequests,
        example=("/notifications",),
    )
    sessions_prefix: str | None = setting(
        String("a path such as /auth", "(/[A-Za-z0-9._~-]+)+"),
        "The prefix of /login, /refresh, /logout, /sessions and /revoke.",
        example="/auth",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleTable:
    """Limits of failed sign-ins at the session routes."""

    enabled: bool = setting(
        Boolean(), "False lets attackers guess passwords without a limit.", default=True
    )
    per_pair: str = setting(
        String("a limit such as 5 per 5 minutes"),
        "Failures of one name from one address.",
        of=(LoginThrottle, "per_pair"),
        validate=AttemptLimit.parse,
    )
    per_address: str = setting(
        String("a limit such as 50 per 5 minutes"),
        "Failures from one IPv4 address or IPv6 /64; requests without an address do not count.",
        of=(LoginThrottle, "per_address"),
        validate=AttemptLimit.parse,
    )
    per_name: str = setting(
        String("a limit such as 100 per hour"),
        "Failures of one name; a device that signed in to it before has a limit of its own.",
        of=(LoginThrottle, "per_name"),
        validate=AttemptLimit.parse,
    )
    per_device: str = setting(
        String("a limit such as 10 per hour"),
        "Failures of one name on one device that signed in to it before.",
        of=(LoginThrottle, "per_device"),
        validate=AttemptLimit.parse,
    )
    device_seconds: float = number(
        "How long a device stays known after a sign-in.",
        of=(LoginThrottle, "device_lifetime"),
    )
    proxies: tuple[str, ...] = setting(
        StringList("a list of addresses and networks such as 10.0.0.0/8"),
        "Proxies whose address the server does not replace with that of the client: per_address"
        " does not count them. Loopback never counts.",
        of=(LoginThrottle, "proxies"),
        validate=read_networks,
        example=("10.0.0.0/8",),
    )
    storage: str | None = setting(
        String("memory:, sqlite:PATH, valkey://HOST or postgresql://HOST/DATABASE"),
        "The URL of the counters, if they are not on the engine of [store].",
        is_hidden=True,
        example="valkey://127.0.0.1:6379/0",
    )
    storage_env: str | None = setting(
        VARIABLE,
        "The environment variable that holds this URL instead, for a URL with a password.",
        is_hidden=True,
        example="SHOP_THROTTLE_URL",
    )
