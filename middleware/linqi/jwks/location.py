"""Where the key set of an issuer is, as the configuration and its metadata may say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from linqi.jose.issuer_template import template_of
from linqi.jwks.access import RemoteAccess
from linqi.jwks.published import KeysFormat
from linqi.jwks.url import is_loopback_url, origin_of, url_fault

__all__ = ["KeySetLocation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySetLocation:
    """The key set of one issuer: its own URL, or that of the metadata that names it."""

    issuer: str
    """The exact ``iss`` claim; with one of the URLs it is only compared, never fetched."""
    url: str | None = None
    """The URL of the set; None if the metadata name it."""
    discovery_url: str | None = None
    """The URL of the metadata; None for that of the issuer."""
    keys_format: KeysFormat = "jwks"
    """The form of the set."""
    access: RemoteAccess = field(default_factory=RemoteAccess)

    @property
    def metadata_url(self) -> str:
        """The URL of the metadata (OpenID Connect Discovery 1.0, section 4)."""
        if self.discovery_url is not None:
            return self.discovery_url
        return self.issuer.removesuffix("/") + "/.well-known/openid-configuration"

    @property
    def configured_url(self) -> str:
        """The URL that is fetched first; the only one to be trusted with a token of ours."""
        return self.metadata_url if self.url is None else self.url

    def is_issuer(self, named: object) -> bool:
        """Return whether the issuer that the metadata name is the configured one."""
        if named == self.issuer:
            return True
        own = template_of(self.issuer)
        found = template_of(named) if own is not None and isinstance(named, str) else None
        if own is None or found is None:
            return False
        return (own.before, own.after) == (found.before, found.after)

    def faults(self) -> list[str]:
        """Return what is wrong with the configured location."""
        if not isinstance(self.access, RemoteAccess):
            return ["access is not a RemoteAccess"]
        found = []
        if self.keys_format not in get_args(KeysFormat):
            found.append(
                f"keys_format is {self.keys_format!r}, expected {' or '.join(get_args(KeysFormat))}"
            )
        elif self.keys_format == "certificates" and self.url is None:
            found.append("certificates are not found by discovery; pass url=, their own URL")
        if self.url is not None and self.discovery_url is not None:
            found.append("url and discovery_url are both set; remove one of the two")
        if not self.url and not self.discovery_url and template_of(str(self.issuer)) is not None:
            text = "the issuer has a placeholder, so no server has that URL; pass url="
            return [*found, text + " or discovery_url="]
        named = {"url": self.url, "discovery_url": self.discovery_url}
        urls = {name: url for name, url in named.items() if url is not None}
        for name, url in (urls or {"the issuer": self.issuer}).items():
            fault = url_fault(url, name, allow_http=self.access.allow_http)
            if fault is not None:
                found.append(fault)
            elif not urls and "?" in url:
                found.append(
                    "the issuer has a query, so it has no discovery document; pass url="
                    " or discovery_url="
                )
        if not isinstance(self.issuer, str) or not self.issuer:
            found.append("the issuer is not a non-empty string, expected the exact iss claim")
        return found

    def is_of(self, url: str) -> bool:
        """Return whether a key set that came from `url` may be used for this location.

        The settings may have changed since a snapshot was saved.
        """
        return url == self.url if self.url is not None else self.jwks_uri_fault(url) is None

    def jwks_uri_fault(self, url: object) -> str | None:
        """Return why a ``jwks_uri`` that the metadata name must not be fetched; None if it may.

        ``https`` is fetched from any host. ``http`` is fetched from loopback if the metadata are
        there too, and with ``allow_http`` from the origins that the configuration names. Otherwise
        an issuer, or on ``http`` any party in the network, could make this process send requests
        to services that trust its address (server-side request forgery).
        """
        fault = url_fault(url, "the jwks_uri", allow_http=True)
        if fault is not None or not str(url).startswith("http:"):
            return fault
        if is_loopback_url(str(url)):
            is_allowed = is_loopback_url(self.metadata_url)
        else:
            named = {origin_of(self.metadata_url), origin_of(self.issuer)}
            is_allowed = self.access.allow_http and origin_of(url) in named
        if is_allowed:
            return None
        return (
            "the jwks_uri is http, expected https; http is used only on loopback if the metadata"
            " are there too, or with allow_http at the origin of the issuer or of its metadata"
        )
