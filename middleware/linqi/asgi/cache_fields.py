"""The response fields by which a cache may store a response."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_cache_field", "is_cacheable"]

_OTHERS: Final = frozenset({b"expires", b"pragma", b"edge-control", b"x-accel-expires"})
_DIRECTIVE: Final = re.compile(rb"(?<![!a-z-])([a-z-]+)(?:\s*=\s*\"?([^\s\",;]*))?")
_LIFETIMES: Final = frozenset({b"max-age", b"s-maxage", b"cache-maxage", b"downstream-ttl"})
_FORBIDS: Final = frozenset({b"no-store", b"bypass-cache"})
_SILENCES_EXPIRES: Final = frozenset({b"max-age", b"s-maxage", b"no-store", b"no-cache"})


def is_cache_field(name: bytes) -> bool:
    """Check whether a field of this name, in lower case, can allow a cache to store a response.

    Each of them may stand above ``Cache-Control: no-store``: targeted fields such as
    ``CDN-Cache-Control`` or a vendor's own (RFC 9213), nginx's ``X-Accel-Expires``, Akamai's
    ``Edge-Control`` and the ``Surrogate-*`` fields of Fastly, Varnish and ESI. So they are
    recognised by their form, and the field of a vendor that is not known yet is included.
    """
    return name.endswith(b"cache-control") or name.startswith(b"surrogate-") or name in _OTHERS


def is_cacheable(headers: list[tuple[bytes, bytes]], now: float) -> bool:
    """Check whether the application allowed some cache to store its response.

    Each field is read by itself, as ``Cache-Control: no-store`` beside
    ``CDN-Cache-Control: max-age=60`` is stored by a CDN. ``Expires`` counts where
    ``Cache-Control`` names no lifetime (RFC 9111, section 5.3); `now` is in Unix seconds.
    """
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if is_cache_field(lowered := name.lower()):
            fields.setdefault(lowered, []).append(value.strip().lower())
    if any(_allows(values) for name, values in fields.items() if name.endswith(b"control")):
        return True
    if any(_is_later(value, now) for value in fields.get(b"x-accel-expires", ())):
        return True
    if not _SILENCES_EXPIRES.isdisjoint(_directives(fields.get(b"cache-control", []))):
        return False
    return any(_is_date_after(value, now) for value in fields.get(b"expires", ()))


def _directives(values: list[bytes]) -> dict[bytes, bytes]:
    return dict(_DIRECTIVE.findall(b",".join(values)))


def _allows(values: list[bytes]) -> bool:
    directives = _directives(values)
    if not _FORBIDS.isdisjoint(directives):
        return False
    lifetimes = (directives[name].lstrip(b"0") for name in _LIFETIMES & directives.keys())
    return b"public" in directives or any(left[:1].isdigit() for left in lifetimes)


def _is_later(value: bytes, now: float) -> bool:
    """Read ``X-Accel-Expires``: seconds from now, or ``@`` and Unix seconds; 0 stores nothing."""
    try:
        return float(value[1:]) > now if value[:1] == b"@" else float(value) > 0
    except ValueError:
        return False


def _is_date_after(value: bytes, now: float) -> bool:
    """Read an HTTP date; what is none, such as 0, is in the past (RFC 9111, section 5.3)."""
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(value.decode("ascii")).timestamp() > now
    except (ValueError, TypeError, OverflowError):
        return False
