"""What a server in a private network needs to be reached."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from linqi.errors import ConfigurationError

__all__ = ["RemoteAccess"]


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
