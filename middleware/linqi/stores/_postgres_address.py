"""Where a PostgreSQL database is, read from a URL as platforms hand it out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode

from linqi.errors import ConfigurationError

__all__ = ["POSTGRES_SCHEMES", "PostgresAddress", "read_postgres_url"]

POSTGRES_SCHEMES: Final = (
    "postgresql://",
    "postgres://",
    # As SQLAlchemy writes them: the same database, which asyncpg opens here in any case.
    "postgresql+asyncpg://",
    "postgresql+psycopg://",
    "postgresql+psycopg2://",
)
_OF_OTHER_DRIVERS: Final = re.compile(
    "async_fallback|client_encoding|connect_timeout|fallback_application_name|gssencmode"
    "|keepalives(_count|_idle|_interval)?|load_balance_hosts|pgbouncer"
    "|prepared_statement_(cache_size|name_func)|sslcompression|tcp_user_timeout"
)
"""Parameters without a meaning for asyncpg, which would send them to the server as settings."""
_OF_ASYNCPG: Final = re.compile(
    "gsslib|krbsrvname|passfile|service|ssl_(max|min)_protocol_version"
    "|ssl(cert|crl|key|mode|negotiation|password|rootcert)"
)
_FILES: Final = ("sslcert", "sslcrl", "sslkey", "sslrootcert")
_TLS_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_WRITABLE: Final = ("any", "primary", "read-write")
_UNREADABLE: Final = (
    "the PostgreSQL URL is not readable ({}); percent-encode # % / : ? @ in a user or password"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresAddress:
    """The hosts of one database, and how a connection to it is made."""

    hosts: Sequence[tuple[str | None, int | None]]
    """Names, addresses or folders of sockets with their ports; None is left to asyncpg, which reads
    the environment variables of PostgreSQL."""
    options: Mapping[str, Any] = field(repr=False)
    """The other arguments of ``asyncpg.connect``, the password among them."""
    settings: Mapping[str, str] = field(repr=False)
    """Settings of the server that the URL asks for, such as ``search_path``."""


def read_postgres_url(url: str) -> PostgresAddress:
    """Return the address that `url` names.

    Without ``target_session_attrs`` a connection is to a server that can be written
    (``read-write``): after a failover, the one of several hosts that is the primary then.

    Raises:
        ConfigurationError: `url` cannot be read, or asks for what asyncpg cannot do. The message
            contains no part of it: what is misread may be a part of the password.

    """
    scheme = next((one for one in POSTGRES_SCHEMES if url.startswith(one)), None)
    if scheme is None:
        raise ConfigurationError([_UNREADABLE.format("it begins with no scheme of PostgreSQL")])
    place, question, query = url[len(scheme) :].partition("?")
    authority, _, database = place.partition("/")
    login, _, host_list = authority.rpartition("@")
    user, _, password = login.partition(":")
    if "#" in url:
        raise ConfigurationError([_UNREADABLE.format("it contains #")])
    if "@" in database or (question and not query.replace("=", "", 1)):
        raise ConfigurationError([_UNREADABLE.format("its host or port")])
    asked = _parameters(query)
    hosts = _hosts([host_list] if host_list else asked.pop("host", []), asked.pop("port", []))
    asked.pop("host", None)
    values = {
        name: texts[-1] for name, texts in asked.items() if not _OF_OTHER_DRIVERS.fullmatch(name)
    }
    options = _named(
        user=unquote(user) or values.pop("user", ""),
        password=unquote(password) or values.pop("password", ""),
        database=unquote(database) or values.pop("dbname", "") or values.pop("database", ""),
        target_session_attrs=values.pop("target_session_attrs", "read-write"),
    )
    if "ssl" in values:  # as SQLAlchemy writes it for asyncpg
        values.setdefault("sslmode", values.pop("ssl"))
    if faults := [*_faults_of(options, values)]:
        raise ConfigurationError(faults)
    own = {name: values.pop(name) for name in [*values] if _OF_ASYNCPG.fullmatch(name)}
    return PostgresAddress(hosts=hosts, options=_arguments(options, own, values), settings=values)


def _parameters(query: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ConfigurationError([_UNREADABLE.format("its parameters")]) from None
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _hosts(lists: Sequence[str], ports: Sequence[str]) -> list[tuple[str | None, int | None]]:
    """Return the hosts of ``h1:1,h2`` and of several such texts, with the ports of ``1,2``."""
    pairs = [_host(text) for one in lists for text in one.split(",")]
    given = [_port(text) for one in ports for text in one.split(",")]
    if not pairs:
        pairs = [(None, None)]
    if len(given) not in (0, 1, len(pairs)):
        raise ConfigurationError(
            [f"the PostgreSQL URL has {len(pairs)} hosts and {len(given)} ports; name one for each"]
        )
    defaults: list[int | None] = [*given] if given else [None]
    defaults = defaults * len(pairs) if len(defaults) == 1 else defaults
    return [(host, port or default) for (host, port), default in zip(pairs, defaults, strict=True)]


def _host(text: str) -> tuple[str | None, int | None]:
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ConfigurationError([_UNREADABLE.format("its host or port")])
        return name, _port(rest[1:]) if rest else None
    name, colon, port = text.partition(":") if not text.startswith("/") else (text, "", "")
    if not name:
        raise ConfigurationError([_UNREADABLE.format("its host or port")])
    return unquote(name), _port(port) if colon else None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_536):
        raise ConfigurationError([_UNREADABLE.format("its host or port")])
    return int(text)


def _faults_of(options: Mapping[str, str], values: Mapping[str, str]) -> Sequence[str]:
    faults = []
    if options["target_session_attrs"] not in _WRITABLE:
        faults.append(
            f"target_session_attrs of the PostgreSQL URL must be one of {', '.join(_WRITABLE)}:"
            " sessions are written"
        )
    if values.get("sslmode", "prefer") not in _TLS_MODES:
        faults.append(f"sslmode of the PostgreSQL URL must be one of {', '.join(_TLS_MODES)}")
    faults += [
        f"{name} of the PostgreSQL URL names no file that can be read"
        for name in _FILES
        if name in values and not Path(values[name]).is_file()
    ]
    if values.get("channel_binding") == "require":
        faults.append(
            "asyncpg has no channel binding: replace channel_binding=require in the PostgreSQL URL"
            " by sslmode=verify-full and sslrootcert"
        )
    return faults


def _named(**options: str) -> dict[str, str]:
    return {name: value for name, value in options.items() if value}


def _arguments(
    options: Mapping[str, str], own: Mapping[str, str], settings: dict[str, str]
) -> dict[str, Any]:
    arguments: dict[str, Any] = dict(options)
    settings.pop("channel_binding", None)
    if password := options.get("password"):
        # A function, because asyncpg keeps its arguments with every connection.
        arguments["password"] = lambda: password
    if own:
        arguments["dsn"] = f"postgresql://?{urlencode(own)}"
    if settings:
        arguments["server_settings"] = settings
    return arguments
