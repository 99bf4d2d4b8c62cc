"""What a server in a private network needs to be reached."""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linqi.errors import ConfigurationError, FetchFailed

__all__ = ["RemoteAccess", "read_authorities", "read_client_secret", "read_token", "tls_context"]

_MOST_CERTIFICATES: Final = 1_048_576
_MOST_TOKEN: Final = 16_384
_MOST_SECRET: Final = 4096
# Anything else could end the header, or be shown by the error of an HTTP client.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAccess:
    """How a server in a private network is reached, for one issuer.

    Raises:
        ConfigurationError: A value is of another type, or two contradict; lists every fault.

    """

    allow_http: bool = False
    """Whether the configured URLs may be ``http`` on any host, and not on loopback only. A party
    in the network can then publish keys of its own, so that its tokens verify."""
    ca_file: str | Path | None = None
    """The certificates (PEM) of the authorities that are trusted, instead of the public ones."""
    token_file: str | Path | None = None
    """A bearer token for the server, such as a Kubernetes service-account token. It is read for
    each request, and sent to the configured origin only."""

    def __post_init__(self) -> None:
        faults = []
        if not isinstance(self.allow_http, bool):
            faults.append(f"allow_http is {self.allow_http!r}, expected true or false")
        for name in ("ca_file", "token_file"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (str, Path)) and os.fspath(value)):
                faults.append(f"{name} is not a non-empty path")
        if self.allow_http is True and self.token_file is not None:
            faults.append(
                "allow_http and token_file contradict: the token would be sent in clear; use https"
                " with ca_file"
            )
        if faults:
            raise ConfigurationError(faults)


def read_authorities(file: str | Path) -> str:
    """Return the text of a file of certificates; call it in a thread.

    Raises:
        FetchFailed: The file cannot be read, or it is longer than 1 MiB.

    """
    return _read("ca_file", file, _MOST_CERTIFICATES)


def read_token(file: str | Path) -> str:
    """Return the bearer token of a file, without the line end; call it in a thread.

    Raises:
        FetchFailed: The file cannot be read, or it is not one token (RFC 6750, section 2.1).

    """
    token = _read("token_file", file, _MOST_TOKEN).strip()
    if _TOKEN.fullmatch(token) is None:
        raise FetchFailed(f"token_file {file} does not consist of one bearer token")
    return token


def read_client_secret(file: str | Path) -> str:
    """Return the client secret of a file, without the line end; call it in a thread.

    Raises:
        FetchFailed: The file cannot be read, is empty, or is longer than 4 KiB.

    """
    secret = _read("client_secret", file, _MOST_SECRET).strip()
    if not secret:
        raise FetchFailed(f"client_secret {file} is empty")
    return secret


def tls_context(certificates: str) -> ssl.SSLContext:
    """Return a TLS context that trusts `certificates` (PEM) and no others; it checks host names.

    Raises:
        FetchFailed: The text has no certificate, or a broken one.

    """
    # Not `create_default_context`, which trusts the public authorities if the text is empty, and
    # from Python 3.13 on refuses authorities without key identifiers, as EKS clusters have them.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=certificates)
    except (ssl.SSLError, ValueError) as error:
        raise FetchFailed(f"ca_file has no readable PEM certificate: {error}") from None
    return context


def _read(what: str, file: str | Path, most: int) -> str:
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(most + 1)
        text = content.decode("ascii")
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise FetchFailed(f"cannot read {what} {file}: {why}") from None
    except UnicodeDecodeError:
        raise FetchFailed(f"{what} {file} is not ASCII text") from None
    if len(content) > most:
        raise FetchFailed(f"{what} {file} is longer than {most} bytes")
    return text
