"""The trusted issuers of a `Config`: its own signer and the outside issuers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from linqi.asgi.lifespan import Service
from linqi.config import key_material
from linqi.config.faults import Faults
from linqi.config.issuer_table import IssuerTable
from linqi.config.opaque import check_opaque, opaque_issuer
from linqi.config.schema import ISSUERS, Config
from linqi.config.setting import arguments_for
from linqi.events import Hook
from linqi.jose.issuers import ANY_AUDIENCE, TrustedIssuer, own_issuer
from linqi.jose.keys import KeySet
from linqi.jose.opaque_issuer import OpaqueIssuer
from linqi.jose.signer import Signer
from linqi.jwks.access import RemoteAccess
from linqi.jwks.key_file import KeyFile
from linqi.jwks.remote import RemoteKeys
from linqi.jwks.store_share import StoreShare

if TYPE_CHECKING:
    from linqi.jwks.alb_keys import AlbKeys

__all__ = ["ConfiguredIssuers", "IssuersBuilder", "no_tenant"]

_SOURCES: Final = ("alb_signer", "jwks_url", "discovery_url", "keys_file", "keys_env")


def no_tenant(tenant: str) -> bool:
    """Return False, in the place of the application's function where a file is only checked."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredIssuers:
    """The trusted issuers of one configuration."""

    signer: Signer | None
    """None if only outside issuers are trusted."""
    verify_keys: KeySet | None
    """Keys of the other kind than the signer's that verify own tokens."""
    issuers: tuple[TrustedIssuer, ...]
    opaque: tuple[OpaqueIssuer, ...]
    """The outside issuers that are asked about their tokens."""
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
        tenants: Callable[[str], bool] | None = None,
    ) -> None:
        self._config = config
        self._tenants = tenants
        self._faults = faults
        self._environ = environ
        self._hooks = hooks
        self._http_client = http_client
        self._share = share
        self._clock = clock
        self._services: list[Service] = []
        self._opaque: list[OpaqueIssuer] = []
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
        verify_keys = self._verify_keys()
        own = [] if signer is None else [own_issuer(signer)]
        if signer is not None and verify_keys is not None:
            with self._faults.at(
                "keys", "verify_file" if config.keys.verify_file else "verify_env"
            ):
                own.append(own_issuer(signer, verify_keys))
        return ConfiguredIssuers(
            signer=signer,
            verify_keys=verify_keys,
            issuers=(*own, *self._outside()),
            opaque=tuple(self._opaque),
            services=tuple(self._services),
        )

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
        return self._keys_of("keys", ("file", table.file), ("env", table.env), table.algorithm)

    def _verify_keys(self) -> KeySet | None:
        table = self._config.keys
        if not table.verify_file and not table.verify_env:
            return None
        if not self._config.has_keys:
            text = "verify_file and verify_env stand beside signing keys: set file or env"
            self._faults.missing("keys", "file", text)
        return self._keys_of(
            "keys",
            ("verify_file", table.verify_file),
            ("verify_env", table.verify_env),
            table.verify_algorithm,
        )

    def _keys_of(
        self,
        place: str,
        file: tuple[str, str | None],
        variable: tuple[str, str | None],
        algorithm: str | None,
    ) -> KeySet | None:
        """Return the keys of a file or a variable, each given as its key and its value."""
        if file[1] and variable[1]:
            text = f"{file[0]} is set too; remove one of the two"
            self._faults.add("contradiction", place, variable[0], text)
        elif file[1]:
            return self._keys_of_file(place, file[0], file[1], algorithm=algorithm)
        else:
            with self._faults.at(place, variable[0]):
                text = key_material.text_of(str(variable[1]), self._environ)
                return key_material.keys_of_text(text, algorithm)
        return None

    def _outside(self) -> list[TrustedIssuer]:
        self._check_tenants()
        found: list[TrustedIssuer] = []
        own = self._config.verify.issuer if self._config.has_keys else None
        taken: set[tuple[str | None, str]] = set()
        for position, table in enumerate(self._config.issuers):
            place = f"{ISSUERS}.{position}"
            same = taken.intersection((table.issuer, alg) for alg in table.algorithms)
            if table.issuer and (same or table.issuer == own):
                text = (
                    "[verify] has the same issuer; for another key of its own set [keys]"
                    " verify_file or verify_env"
                    if table.issuer == own
                    else "another entry has the same issuer and accepts"
                    f" {', '.join(sorted(alg for _, alg in same))} too; merge them, or give each"
                    " algorithms of its own"
                )
                self._faults.add("contradiction", place, "issuer", text, seen=f'"{table.issuer}"')
            taken.update((table.issuer, alg) for alg in table.algorithms)
            if self._is_complete(place, table):
                with self._faults.at(place):
                    if table.introspection_url is not None:
                        self._opaque += self._asked(place, table)
                        continue
                    trusted = self._trusted(place, table)
                    found += [] if trusted is None else [trusted]
        return found

    def _check_tenants(self) -> None:
        """Add a fault unless the function for tenants is there where it is asked, and only then."""
        asked = [n for n, table in enumerate(self._config.issuers) if table.ask_tenants]
        for position in asked:
            table, text = self._config.issuers[position], ""
            if table.tenants is not None:
                text = "tenants is set too; remove one of the two"
            elif table.issuer != self._config.issuers[asked[0]].issuer:
                # Else a tenant of one issuer would count at another.
                text = "another issuer asks the function, which receives no issuer; list tenants"
            if text:
                self._faults.add("contradiction", f"{ISSUERS}.{position}", "ask_tenants", text)
            if self._tenants is None:
                text = "the function that decides is not given: pass tenants= to wrap or build"
                self._faults.missing(f"{ISSUERS}.{position}", "ask_tenants", text)
        if self._tenants is not None and not asked:
            text = (
                "tenants= is given, and no [[issuers]] has ask_tenants = true, so it is not asked"
            )
            self._faults.add("contradiction", "issuers", "", text)

    def _is_complete(self, place: str, table: IssuerTable) -> bool:
        """Return whether an issuer can be built; adds a fault for each missing key."""
        before = len(self._faults.found)
        if not table.issuer:
            self._faults.missing(place, "issuer", "set it to the exact iss claim")
        if not table.algorithms and table.introspection_url is None:
            text = 'set the accepted signature algorithms, such as ["RS256"]'
            self._faults.missing(place, "algorithms", text)
        if not table.any_audience and not table.audience:
            self._faults.missing(place, "audience", "name this API, or set any_audience = true")
        elif table.any_audience and table.audience:
            text = "audience is set too; remove one of the two"
            self._faults.add("contradiction", place, "any_audience", text)
        self._check_source(place, table)
        check_opaque(place, table, self._faults)
        return len(self._faults.found) == before

    def _check_source(self, place: str, table: IssuerTable) -> None:
        """Add a fault for each setting that contradicts the source of the keys."""
        if table.alb_signer and tuple(table.algorithms) not in ((), ("ES256",)):
            text = 'load balancers (alb_signer) sign by ES256: set algorithms = ["ES256"]'
            self._faults.add("contradiction", place, "algorithms", text)
        if table.alb_keys_url and not table.alb_signer:
            self._faults.missing(place, "alb_signer", "alb_keys_url is used with it only")
        sources = [name for name in _SOURCES if getattr(table, name)]
        for name in sources[1:]:
            text = f"{sources[0]} is set too; remove one of the two"
            self._faults.add("contradiction", place, name, text)
        held = next((name for name in sources if name.startswith("keys_")), None)
        remote = {
            **arguments_for(RemoteAccess, table),
            "keys_format": table.keys_format != "jwks",
            "required": table.required,
        }
        for key, value in remote.items():
            if value and table.alb_signer:
                text = (
                    "the keys of load balancers (alb_signer) are fetched from AWS, each when a"
                    " token names it; remove it"
                )
                self._faults.add("contradiction", place, key, text)
            elif value and held is not None:
                text = f"nothing is fetched, because {held} is set; remove one of the two"
                self._faults.add("contradiction", place, key, text)

    def _trusted(self, place: str, table: IssuerTable) -> TrustedIssuer | None:
        audience = ANY_AUDIENCE if table.any_audience else table.audience
        options = arguments_for(TrustedIssuer, table)
        options["tenants"] = (self._tenants or no_tenant) if table.ask_tenants else table.tenants
        signers = options.pop("alb_signer")
        if signers:
            return self._load_balancer(table, signers).trust(audience, **options)
        if table.keys_file:
            algorithms = tuple(table.algorithms)
            keys = self._keys_of_file(place, "keys_file", table.keys_file, algorithms=algorithms)
        elif table.keys_env:
            keys = None
            with self._faults.at(place, "keys_env"):
                text = key_material.text_of(table.keys_env, self._environ)
                keys = key_material.keys_of_text(text, algorithms=table.algorithms)
        else:
            return self._remote(table).trust(audience, **options)
        if keys is None:
            return None
        return TrustedIssuer(
            issuer=str(table.issuer),
            audience=audience,
            keys=keys,
            algorithms=table.algorithms,
            **options,
        )

    def _asked(self, place: str, table: IssuerTable) -> list[OpaqueIssuer]:
        secret: str | Path | None = None
        if table.client_secret_env:
            with self._faults.at(place, "client_secret_env"):
                secret = key_material.text_of(table.client_secret_env, self._environ)
            if secret is None:
                return []
        elif table.client_secret_file:
            secret = self._config.folder / table.client_secret_file
        issuer = opaque_issuer(
            table,
            secret=secret,
            access=self._access(table),
            limits=self._config.jwks_limits.settings(),
            client=self._http_client,
            clock=self._clock,
        )
        return [issuer]

    def _load_balancer(self, table: IssuerTable, signers: Sequence[str]) -> AlbKeys:
        from linqi.jwks.alb_keys import AlbKeys

        return AlbKeys(
            str(table.issuer),
            signers,
            url=table.alb_keys_url,
            refresh=self._config.jwks.settings(),
            limits=self._config.jwks_limits.settings(),
            client=self._http_client,
            clock=self._clock,
        )

    def _remote(self, table: IssuerTable) -> RemoteKeys:
        folder = self._config.jwks.share_folder
        return RemoteKeys(
            str(table.issuer),
            table.algorithms,
            **arguments_for(RemoteKeys, table),
            access=self._access(table),
            refresh=self._config.jwks.settings(),
            limits=self._config.jwks_limits.settings(),
            share=self._share if folder is None else self._config.folder / folder,
            client=self._http_client,
            clock=self._clock,
        )

    def _access(self, table: IssuerTable) -> RemoteAccess:
        """Return how the issuer is reached; a client of the caller has certificates of its own."""
        ca_file = None if self._http_client is not None else table.ca_file
        files = {"ca_file": ca_file, "token_file": table.token_file}
        paths = {key: self._config.folder / name for key, name in files.items() if name}
        return RemoteAccess(allow_http=table.allow_http, **paths)

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
