"""Where a Valkey or Redis store is, as its URL tells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote

from linqi.errors import ConfigurationError

__all__ = ["VALKEY_SCHEMES", "Login", "ValkeyPlace", "read_valkey_url"]

_Topology: TypeAlias = Literal["single", "cluster", "sentinel"]
VALKEY_SCHEMES: Final = (
    *(
        f"{engine}{topology}://"
        for engine in ("valkey", "valkeys", "redis", "rediss")
        for topology in ("", "+cluster", "+sentinel")
    ),
    "unix://",
)
_URL: Final = re.compile(
    r"(?:(?:valkey|redis)(?P<tls>s?)(?:\+(?P<topology>cluster|sentinel))?|(?P<unix>unix))://"
    r"(?:(?P<login>[^/?#]*)@)?(?P<hosts>[^/?#@]*)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?"
)
_HOST: Final = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
)
_TOPOLOGIES: Final[Mapping[str | None, _Topology]] = {
    None: "single",
    "cluster": "cluster",
    "sentinel": "sentinel",
}
_MASTER: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")
_PORT, _SENTINEL_PORT, _MOST_DATABASES = 6_379, 26_379, 10_000
_TLS_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TLS: Final = (*_TLS_FILES, "ssl_cert_reqs", "ssl_check_hostname")
_VERIFICATIONS: Final = ("required", "optional", "none")
_ENCODE: Final = "percent-encode '@', '/', ':', '?', '#' and '%' in a user name or password"


@dataclass(frozen=True, slots=True)
class Login:
    """A user and a password, neither of which is ever shown."""

    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValkeyPlace:
    """The servers of a store, and how to connect to them."""

    topology: _Topology
    hosts: tuple[tuple[str, int], ...] = ()
    """Host and port of the server, of some nodes of the cluster, or of the sentinels."""
    path: str = ""
    """The Unix socket of a single server instead."""
    database: int = 0
    master_name: str = ""
    """By which the sentinels know the primary."""
    login: Login = Login()
    sentinel_login: Login = Login()
    tls: Mapping[str, Any] | None = None
    """The driver's options of TLS; None without TLS."""

    @property
    def cluster_url(self) -> str:
        """The URL of the cluster that a single server belongs to, without user and password."""
        tls = "" if self.tls is None else "s"
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        return f"valkey{tls}+cluster://{hosts}"


def read_valkey_url(url: str) -> ValkeyPlace:
    """Return the place that `url` names.

    Raises:
        ConfigurationError: `url` is wrong; the faults show no user name and no password.

    """
    found = _URL.fullmatch(url)
    if found is None:
        raise ConfigurationError([f"the store's URL cannot be read; {_ENCODE}"])
    topology = _TOPOLOGIES[found["topology"]]
    faults: list[str] = []
    options = _options(found["query"] or "", found["unix"], topology, bool(found["tls"]), faults)
    path = unquote(found["path"] or "").removeprefix("/")
    master_name = database = ""
    if topology == "sentinel":
        master_name, _, database = path.partition("/")
        if not _MASTER.fullmatch(master_name):
            faults.append(
                "the store's URL names no primary; expected valkey+sentinel://HOST:PORT/MASTER-NAME"
            )
    else:
        database = options.get("db", "") if found["unix"] else path
    hosts: tuple[tuple[str, int], ...] = ()
    if not found["unix"]:
        hosts = _hosts(found["hosts"], topology, faults)
    elif found["hosts"] or not path:
        faults.append("the store's URL names no socket; expected unix:///PATH")
    place = ValkeyPlace(
        topology=topology,
        hosts=hosts,
        path=f"/{path}" if found["unix"] else "",
        database=_database(database, topology, faults),
        master_name=master_name,
        login=_login(found["login"]),
        sentinel_login=Login(options.get("sentinel_username"), options.get("sentinel_password")),
        tls=_tls(options, faults) if found["tls"] else None,
    )
    if faults:
        raise ConfigurationError(faults)
    return place


def _options(
    query: str, unix: str | None, topology: str, is_tls: bool, faults: list[str]
) -> dict[str, str]:
    """Return the options after the question mark."""
    allowed: tuple[str, ...] = _TLS if is_tls else ()
    if unix:
        allowed = ("db",)
    if topology == "sentinel":
        allowed += ("sentinel_username", "sentinel_password")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := [name for name in options if name not in allowed]:
        # A name only if it looks like one: it may be a part of a password.
        names = [name if re.fullmatch("[a-z_]{1,40}", name) else "one" for name in unknown]
        expected = ", ".join(allowed) or "none here"
        faults.append(f"unknown option in the store's URL: {', '.join(names)}; {expected} allowed")
        if not is_tls and any(name in _TLS for name in unknown):
            faults.append("options of TLS need valkeys:// or rediss://, which turn it on")
    return options


def _hosts(text: str, topology: str, faults: list[str]) -> tuple[tuple[str, int], ...]:
    default = _SENTINEL_PORT if topology == "sentinel" else _PORT
    hosts = []
    for part in text.split(","):
        found = _HOST.fullmatch(part)
        port = int(found["port"] or default) if found else 0
        if found is None or not 0 < port < 65_536:
            faults.append(f"the store's URL has an invalid host or port; {_ENCODE}")
            return ()
        hosts.append((found["host"].strip("[]"), port))
    if len(hosts) > 1 and topology == "single":
        faults.append(
            "the store's URL names several hosts; use valkey+cluster://HOST:PORT,HOST:PORT for a"
            " cluster, or valkey+sentinel://HOST:PORT,HOST:PORT/MASTER-NAME for sentinels"
        )
    return tuple(hosts)


def _database(text: str, topology: str, faults: list[str]) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or int(text[:6]) >= _MOST_DATABASES:
        faults.append("the store's URL has an invalid database; expected a number, such as /0")
        return 0
    if topology == "cluster" and int(text):
        faults.append("a cluster has database 0 only; remove the number from the store's URL")
    return int(text)


def _login(text: str | None) -> Login:
    if text is None:
        return Login()
    user, _, password = text.partition(":")
    return Login(unquote(user) or None, unquote(password) or None)


def _tls(options: Mapping[str, str], faults: list[str]) -> dict[str, str | bool]:
    found: dict[str, str | bool] = {name: options[name] for name in _TLS if name in options}
    if found.get("ssl_cert_reqs", "required") not in _VERIFICATIONS:
        faults.append(f"ssl_cert_reqs: expected one of {', '.join(_VERIFICATIONS)}")
    faults += [
        f"{name} names no file that can be read"
        for name in _TLS_FILES
        if name in found and not Path(str(found[name])).is_file()
    ]
    checked = options.get("ssl_check_hostname", "true").lower()
    if checked not in ("true", "false"):
        faults.append("ssl_check_hostname: expected true or false")
    # A host name cannot be checked where the certificate is not.
    is_verified = found.get("ssl_cert_reqs", "required") == "required"
    return found | {"ssl_check_hostname": checked == "true" and is_verified}
