"""The table of ``linqi.toml`` about the protected resource that the application is (RFC 9728)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from linqi.asgi.resource_metadata import ResourceMetadata
from linqi.config.setting import arguments_for, setting
from linqi.config.value_types import String, StringList

__all__ = ["ResourceTable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceTable:
    """The metadata that clients find at /.well-known/oauth-protected-resource."""

    url: str | None = setting(
        String("an https URL without a query"),
        "The URL by which clients name this API, as it is in aud; with it the metadata is served.",
        example="https://notes.example/mcp",
    )
    authorization_servers: tuple[str, ...] = setting(
        StringList("a list of issuers such as https://id.example"),
        "The issuers that clients may ask for tokens; by default all outside issuers.",
        default=(),
        example=("https://id.example",),
    )
    scopes_supported: tuple[str, ...] = setting(
        StringList("a list of scopes"),
        "The scopes that clients may ask for.",
        of=(ResourceMetadata, "scopes_supported"),
        example=("notes:read",),
    )
    challenge_scopes: tuple[str, ...] | None = setting(
        StringList("a list of scopes"),
        "The scopes that a 401 asks for; by default scopes_supported.",
        of=(ResourceMetadata, "challenge_scopes"),
        example=("notes:read",),
    )
    name: str | None = setting(
        String("printable text"),
        "The name that users see.",
        of=(ResourceMetadata, "resource_name"),
        example="Notes",
    )
    documentation: str | None = setting(
        String("an https URL"),
        "A page for developers of clients.",
        of=(ResourceMetadata, "resource_documentation"),
        example="https://notes.example/docs",
    )

    def metadata(self, issuers: Sequence[str]) -> ResourceMetadata | None:
        """Return the metadata, with `issuers` where the table names none; None without a URL."""
        if self.url is None:
            return None
        servers = self.authorization_servers or issuers
        return ResourceMetadata(self.url, servers, **arguments_for(ResourceMetadata, self))
