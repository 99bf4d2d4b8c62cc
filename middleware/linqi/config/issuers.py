"""The trusted issuers of a `Config`: its own signer and the outside issuers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linqi.asgi.lifespan import Service
from linqi.config import key_material
from linqi.config.faults import Faults
from linqi.config.issuer_table import IssuerTable
from linqi.config.schema import Config
from linqi.config.setting import arguments_for
from linqi.events import Hook
from linqi.jose.issuers import ANY_AUDIENCE, TrustedIssuer, own_issuer
from linqi.jose.keys import KeySet
from linqi.jose.signer import Signer
from linqi.jwks.key_file import KeyFile
from linqi.jwks.remote import RemoteKeys
from linqi.jwks.store_share import StoreShare

__all__ = ["ConfiguredIssuers", "IssuersBuilder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredIssuers:
    """The trusted issuers of one configuration."""

    signer: Signer | None
    """None if only outside issuers are trusted."""
    issuers: tuple[TrustedIssuer, ...]
    services: tuple[Service, ...]
    """The key files that are checked for changes while the application runs."""


class IssuersBuilder:
    """Builds the `ConfiguredIssuers` of one configuration; adds what is wrong to `faults`."""

    def __init__(
        self,
        config: Config,
        faults: Faults,
        *,
        environ: Mapping[str, str],
        hooks: Sequence[Hook],
        http_client: Any,
        share: StoreShare | None,
        clock: Any,
    ) -> None:
        self._config = config
        self._faults = faults
        self._environ = environ
        self._hooks = hooks
        self._http_client = http_client
        self._share = share
        self._clock = clock
        self._services: list[Service] = []
        self._files: dict[tuple[str, tuple[tuple[str, Any], ...]], KeyFile] = {}

    def build(self) -> ConfiguredIssuers:
        """Return the issuers; those with faults are left out."""
        config = self._config
        if not config.has_keys and not config.issuers:
            self._faults.missing(
                "keys",
                "",
                "there is no signing key (file or env) and no [[issuers]], so no token is trusted",
            )
        signer = self._signer() if config.has_keys else None
        own = [] if signer is None else [own_issuer(signer)]
        issuers = (*own, *self._outside())
        return ConfiguredIssuers(signer=signer, issuers=issuers, services=tuple(self._services))

    def _signer(self) -> Signer | None:
        verify, keys = self._config.verify, self._own_keys()
        for name in ("issuer", "audience"):
            if getattr(verify, name) is None:
                self._faults.missing("verify", name, "signing keys need it: every token carries it")
        if keys is None or verify.issuer is None or verify.audience is None:
            return None
        with self._faults.at("keys", "file" if self._config.keys.file else "env"):
            return Signer(keys, issuer=verify.issuer, audience=verify.audience, clock=self._clock)
        return None

    def _own_keys(self) -> KeySet | None:
        table = self._config.keys
        if table.file and table.env:
            self._faults.add(
                "contradiction", "keys", "env", "file is set too; remove one of the two"
            )
        elif table.file:
            return self._keys_of_file("keys", "file", table.file, algorithm=table.algorithm)
        else:
            with self._faults.at("keys", "env"):
                text = key_material.text_of(str(table.env), self._environ)
                return key_material.keys_of_text(text, table.algorithm)
        return None

    def _outside(self) -> list[TrustedIssuer]:
        found, names = [], []
        if self._config.has_keys:
            names.append(self._config.verify.issuer)
        for position, table in enumerate(self._config.issuers):
            place = f"issuers.{position}"
            if table.issuer and table.issuer in names:
                text = "another entry or [verify] has the same issuer"
                self._faults.add("contradiction", place, "issuer", text, seen=f'"{table.issuer}"')
            names.append(table.issuer)
            if self._is_complete(place, table):
                with self._faults.at(place):
                    trusted = self._trusted(place, table)
                    found += [] if trusted is None else [trusted]
        return found

    def _is_complete(self, place: str, table: IssuerTable) -> bool:
        """Return whether an issuer can be built; adds a fault for each missing key."""
        before = len(self._faults.found)
        if not table.issuer:
            self._faults.missing(place, "issuer", "set it to the exact iss claim")
        if not table.algorithms:
            text = 'set the accepted signature algorithms, such as ["RS256"]'
            self._faults.missing(place, "algorithms", text)
        if not table.any_audience and not table.audience:
            self._faults.missing(place, "audience", "name this API, or set any_audience = true")
        elif table.any_audience and table.audience:
            text = "audience is set too; remove one of the two"
            self._faults.add("contradiction", place, "any_audience", text)
        if table.jwks_url and table.keys_file:
            text = "jwks_url is set too; remove one of the two"
            self._faults.add("contradiction", place, "keys_file", text)
        return len(self._faults.found) == before

    def _trusted(self, place: str, table: IssuerTable) -> TrustedIssuer | None:
        audience = ANY_AUDIENCE if table.any_audience else table.audience
        options = arguments_for(TrustedIssuer, table)
        if table.keys_file is None:
            return self._remote(table).trust(audience, **options)
        keys = self._keys_of_file(
            place, "keys_file", table.keys_file, algorithms=tuple(table.algorithms)
        )
        if keys is None:
            return None
        return TrustedIssuer(
            issuer=str(table.issuer),
            audience=audience,
            keys=keys,
            algorithms=table.algorithms,
            **options,
        )

    def _remote(self, table: IssuerTable) -> RemoteKeys:
        folder = self._config.jwks.share_folder
        return RemoteKeys(
            str(table.issuer),
            table.algorithms,
            **arguments_for(RemoteKeys, table),
            refresh=self._config.jwks.settings(),
            limits=self._config.jwks_limits.settings(),
            share=self._share if folder is None else self._config.folder / folder,
            client=self._http_client,
            clock=self._clock,
        )

    def _keys_of_file(self, table: str, key: str, name: str, **options: Any) -> KeySet | None:
        """Return the keys of a file; a JWKS is followed, by one service for all its issuers."""
        with self._faults.at(table, key, f'"{name}"'):
            same = (name, tuple(sorted(options.items())))
            if (known := self._files.get(same)) is not None:
                return known.keys
            found = key_material.keys_of_file(
                self._config.folder / name,
                check_seconds=self._config.keys.check_seconds,
                hooks=self._hooks,
                **options,
            )
            if isinstance(found, KeyFile):
                self._services.append(found)
                self._files[same] = found
                return found.keys
            return found
        return None
