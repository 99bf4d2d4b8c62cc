"""Rules about outside issuers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from linqi.config.findings import CheckedSettings, Finding

__all__ = ["ISSUER_RULES"]

_OTHERS_WRITE: Final = 0o022


def _access(checked: CheckedSettings) -> Iterator[Finding]:
    config = checked.config
    for position, issuer in enumerate(config.issuers):
        table = f"issuers.{position}"
        if issuer.allow_http:
            yield Finding(
                code="allow-http",
                severity="warning",
                table=table,
                key="allow_http",
                reason="A party in the network between can publish keys of its own as those of"
                f" {issuer.issuer}, and then any token that it makes is accepted.",
                remedy="Use https with ca_file; keep allow_http only where each party in that"
                " network may sign in as any user.",
            )
        mode = checked.modes.get(config.folder / issuer.ca_file, 0) if issuer.ca_file else 0
        if mode & _OTHERS_WRITE:
            yield Finding(
                code="file-writable",
                severity="error",
                table=table,
                key="ca_file",
                reason=f"Other users can write {issuer.ca_file} (mode {mode:04o}) and so choose"
                " which server is trusted with the keys.",
                remedy=f"Run chmod go-w {issuer.ca_file}.",
            )


ISSUER_RULES: Final[tuple[Callable[[CheckedSettings], Iterator[Finding]], ...]] = (_access,)
