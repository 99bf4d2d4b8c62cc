"""The issuer of opaque tokens that an entry of [[issuers]] describes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from linqi.config.faults import Faults
from linqi.config.issuer_table import IssuerTable
from linqi.config.setting import arguments_for
from linqi.introspection.settings import IntrospectionSettings
from linqi.jose.issuers import ANY_AUDIENCE, TrustedIssuer
from linqi.jose.opaque_issuer import OpaqueIssuer
from linqi.jwks.access import RemoteAccess
from linqi.jwks.http import RemoteLimits

__all__ = ["check_opaque", "opaque_issuer"]

_OF_KEYS: Final = (
    *("algorithms", "jwks_url", "discovery_url", "keys_file", "keys_env", "alb_signer"),
    *("keys_format", "tenants", "ask_tenants", "required", "types", "require_type"),
)
_OF_ANSWERS: Final = (
    *("client_id", "client_secret_env", "client_secret_file", "client_auth"),
    *("prefixes", "introspect_jwts", "trust_seconds", "stale_answer_seconds", "new_per_second"),
)
_UNSET: Final = IssuerTable()


def check_opaque(place: str, table: IssuerTable, faults: Faults) -> None:
    """Add a fault for each key that contradicts how the tokens of an issuer are verified."""
    if table.introspection_url is None:
        for name in _changed(table, _OF_ANSWERS):
            text = f"{name} is used with it only"
            faults.missing(place, "introspection_url", text)
        return
    for name in _changed(table, _OF_KEYS):
        text = "introspection_url is set too: its tokens have no keys; remove one of the two"
        faults.add("contradiction", place, name, text)
    if table.client_secret_env and table.client_secret_file:
        text = "client_secret_env is set too; remove one of the two"
        faults.add("contradiction", place, "client_secret_file", text)
    has_secret = bool(table.client_secret_env or table.client_secret_file)
    if not table.token_file and not (table.client_id and has_secret):
        text = "the endpoint needs credentials: client_id and client_secret_env or _file"
        faults.missing(place, "client_id", text)


def opaque_issuer(
    table: IssuerTable,
    *,
    secret: str | Path | None,
    access: RemoteAccess,
    limits: RemoteLimits,
    client: Any,
    clock: Callable[[], float],
) -> OpaqueIssuer:
    """Return the issuer that `table`, checked by `check_opaque`, describes.

    Raises:
        ConfigurationError: A value cannot be used.

    """
    # Imported where it is used: 1,000 lines, which few files need.
    from linqi.introspection.introspection import Introspection

    source = Introspection(
        str(table.issuer),
        url=table.introspection_url,
        client_id=table.client_id,
        client_secret=secret,
        client_auth=table.client_auth,
        access=access,
        settings=IntrospectionSettings(**arguments_for(IntrospectionSettings, table)),
        limits=limits,
        client=client,
        clock=clock,
    )
    shared = arguments_for(TrustedIssuer, table)
    claims = {name: shared[name] for name in ("required_claims", "scope_claims")}
    audience = ANY_AUDIENCE if table.any_audience else table.audience
    return source.trust(audience, **arguments_for(OpaqueIssuer, table), **claims)


def _changed(table: IssuerTable, names: Iterable[str]) -> list[str]:
    """Return those of `names` whose values are not the defaults."""
    return [name for name in names if getattr(table, name) != getattr(_UNSET, name)]
