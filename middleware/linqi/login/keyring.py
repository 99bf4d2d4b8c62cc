"""The door to keyring: tokens kept by the operating system's store of passwords."""

from __future__ import annotations

from typing import Final

import keyring
import msgspec.structs
from keyring.errors import KeyringError, PasswordDeleteError

from linqi.client.tokens import ClientTokens, decode_tokens, encode_tokens

__all__ = ["KeyringStorage"]

_MOST_CHARACTERS: Final = 1_200
"""The smallest store, that of Windows, takes 2,560 bytes and spends two on a character."""


class KeyringStorage:
    """Keeps tokens as one password, by the keyring backend that is configured.

    Tokens that are too long for the smallest store are kept without the access token, which is
    then had anew by the refresh token. `account` tells several logins apart.
    """

    def __init__(self, account: str, *, service: str = "linqi") -> None:
        self._account = account
        self._service = service

    def load(self) -> ClientTokens | None:
        """Give what was saved; OSError when the keyring is locked or missing."""
        try:
            kept = keyring.get_password(self._service, self._account)
        except KeyringError as error:
            raise _failed("read", error) from error
        return None if kept is None else decode_tokens(kept.encode())

    def save(self, tokens: ClientTokens | None) -> None:
        """Keep `tokens`, or remove the password; OSError when that cannot be done."""
        try:
            if tokens is not None:
                keyring.set_password(self._service, self._account, _text(tokens))
            elif keyring.get_password(self._service, self._account) is not None:
                keyring.delete_password(self._service, self._account)
        except PasswordDeleteError as error:
            raise _failed("forget", error) from error
        except KeyringError as error:
            raise _failed("write", error) from error


def _text(tokens: ClientTokens) -> str:
    text = encode_tokens(tokens).decode()
    if len(text) > _MOST_CHARACTERS and tokens.refresh_token:
        text = encode_tokens(msgspec.structs.replace(tokens, access_token="")).decode()
    return text


def _failed(what: str, error: Exception) -> OSError:
    return OSError(f"the keyring could not {what}: {type(error).__name__}: {error}")
