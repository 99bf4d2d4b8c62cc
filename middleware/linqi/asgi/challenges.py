"""The parameters that every challenge of one application has (RFC 9728, section 5.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from linqi.asgi._http import ASGIApp, Scope
from linqi.asgi.metadata_route import metadata_before
from linqi.asgi.refusals import BodyWriter, Refusal, with_writer
from linqi.asgi.resource_metadata import ResourceMetadata, metadata_url_fault

if TYPE_CHECKING:
    from linqi.asgi.refusal_format import RefusalFormat
    from linqi.asgi.refusal_writer import RefusalWriter
    from linqi.events import Event

__all__ = ["ChallengeWriter", "around", "metadata_fault"]

_Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]


class ChallengeWriter:
    """Adds the URL of the resource's metadata to each challenge, and needed scopes to a 401.

    Args:
        metadata: The metadata, or the URL of a document that is served elsewhere.
        bodies: Writes the bodies in the format of the application; None for those of RFC 6750.

    """

    def __init__(self, metadata: ResourceMetadata | str, bodies: RefusalWriter | None) -> None:
        scopes: tuple[str, ...] = ()
        if isinstance(metadata, ResourceMetadata):
            scopes, metadata = metadata.needed_scopes, metadata.url
        self._url = f', resource_metadata="{metadata}"'.encode("ascii")
        self._scopes = f', scope="{" ".join(scopes)}"'.encode("ascii") if scopes else b""
        self._bodies = bodies

    def write(self, refusal: Refusal, scope: Scope) -> tuple[_Headers, bytes]:
        """Return the headers and the body of `refusal`, its challenge complete."""
        headers, body = refusal.headers, refusal.body
        if self._bodies is not None:
            headers, body = self._bodies.write(refusal, scope)
        more = self._scopes + self._url if refusal.status == 401 else self._url
        complete = tuple(
            (name, value + more if name == b"www-authenticate" else value)
            for name, value in headers
        )
        return complete, body

    def beside(self, refusal: Refusal, scope: Scope) -> tuple[dict[str, Any], _Headers]:
        """Return the members that a session route adds to its error, and their headers."""
        return ({}, ()) if self._bodies is None else self._bodies.beside(refusal, scope)


def around(
    app: ASGIApp,
    chosen: RefusalFormat | None,
    metadata: ResourceMetadata | str | None,
    report: Callable[[Event], object],
) -> tuple[ASGIApp, BodyWriter | None]:
    """Return `app` with its document and the writer of its refusals, and that writer.

    Args:
        app: The application.
        chosen: The format of the bodies; None for that of RFC 6750.
        metadata: What challenges refer to; None for nothing.
        report: Receives `RefusalBodyFailed`.

    Raises:
        ConfigurationError: `chosen` is no `RefusalFormat`.

    """
    bodies: RefusalWriter | None = None
    if chosen is not None:
        from linqi.asgi.refusal_writer import writer_of

        bodies = writer_of(chosen, report)
    writer: BodyWriter | None = bodies
    if metadata is not None:
        writer = ChallengeWriter(metadata, bodies)
    if isinstance(metadata, ResourceMetadata):
        app = metadata_before(app, metadata)
    return (app, None) if writer is None else (with_writer(app, writer), writer)


def metadata_fault(metadata: object) -> list[str]:
    """Return why challenges cannot refer to `metadata`."""
    if isinstance(metadata, ResourceMetadata):
        return []
    fault = metadata_url_fault(metadata)
    return [] if fault is None else [fault]
