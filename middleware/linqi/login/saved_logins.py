"""Who has signed in from this account of this machine, and where their tokens are."""

from __future__ import annotations

import hashlib
import ipaddress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from linqi.client.tokens import FileStorage, TokenStorage
from linqi.errors import ConfigurationError
from linqi.jose._atomic_write import PRIVATE, write_atomically

__all__ = ["SavedLogin", "SavedLogins", "base_url", "is_loopback"]


class SavedLogin(msgspec.Struct, frozen=True, kw_only=True):
    """One login, without its tokens."""

    url: str
    """The address that it is found by."""
    login_url: str
    """The login route; those of refresh and sign-out stand beside it."""
    username: str
    storage: Literal["file", "keyring"] = "file"

    def beside(self, name: str) -> str:
        """Give the URL of the route `name`."""
        return f"{self.login_url.rpartition('/')[0]}/{name}"


class SavedLogins:
    """The logins that are kept in `folder`; by default where programs of this account keep state.

    The folder has mode 0700, each file 0600.
    """

    def __init__(self, folder: Path | None = None) -> None:
        if folder is None:
            import platformdirs

            folder = platformdirs.user_state_path("linqi") / "logins"
        self._folder = folder

    def find(self, url: str) -> SavedLogin | None:
        """Give the login at `url`."""
        return _read(self._path(url, ".json"))

    def all(self) -> list[SavedLogin]:
        """Give every login, by URL."""
        found = [_read(path) for path in self._folder.glob("*.login.json")]
        return sorted((login for login in found if login is not None), key=lambda one: one.url)

    def keep(self, login: SavedLogin) -> None:
        """Write `login` down, in place of one at the same URL."""
        self._make_folder()
        write_atomically(self._path(login.url, ".json"), msgspec.json.encode(login), PRIVATE)

    def forget(self, login: SavedLogin) -> None:
        """Remove `login` and its tokens."""
        self.storage(login).save(None)
        self._path(login.url, ".json").unlink(missing_ok=True)

    def storage(self, login: SavedLogin) -> TokenStorage:
        """Give where its tokens are."""
        if login.storage == "keyring":
            from linqi.login.keyring import KeyringStorage

            return KeyringStorage(login.url)
        self._make_folder()
        return FileStorage(self._path(login.url, ".tokens"))

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _path(self, url: str, ending: str) -> Path:
        digest = hashlib.sha256(url.encode()).hexdigest()[:24]
        return self._folder / f"{digest}.login{ending}"


def base_url(text: str, *, is_plain_allowed: bool = False) -> str:
    """Give `text` as logins are found by it: lower-case host, no slash at the end.

    `ConfigurationError` when it is no address to send a password to; it is not repeated there,
    for it may hold one.
    """
    try:
        parts = urlsplit(text)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(["the address is no URL such as https://shop.example"])
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigurationError(["the address has a user name, a query or a fragment; leave it"])
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    url = f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
    if parts.scheme == "http" and not (is_plain_allowed or is_loopback(parts.hostname)):
        raise ConfigurationError(
            [
                "the address is http: whoever is on the way reads the password; use https, or say"
                " --insecure-http if you know the way"
            ]
        )
    return url


def is_loopback(host: str) -> bool:
    """Tell whether `host` is this machine, by its literal address or as ``localhost``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(path: Path) -> SavedLogin | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=SavedLogin)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeError):
        return None
