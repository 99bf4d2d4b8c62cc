"""Keys and secrets, read from the files and environment variables that a configuration names."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from linqi.config.faults import SourceNotFound
from linqi.errors import ConfigurationError, InvalidKey
from linqi.events import Hook
from linqi.jose._guarded_file import read_guarded
from linqi.jose._pem import holds_pem, key_block
from linqi.jose.key import ALGORITHMS, Key
from linqi.jose.keys import KeySet
from linqi.jwks.key_file import KeyFile

__all__ = ["certificate_end", "keys_of_file", "keys_of_text", "text_of", "text_of_file"]

_SECRET_ALGORITHM: Final = "HS256"
_QUOTES: Final = ("'", '"')


def keys_of_file(
    path: Path,
    *,
    algorithm: str | None = None,
    algorithms: Sequence[str] = ALGORITHMS,
    check_seconds: float = 5.0,
    hooks: Sequence[Hook] = (),
) -> KeyFile | KeySet:
    """Return the keys of a file: a `KeyFile`, which follows it, for a JWKS; a `KeySet` for a PEM.

    Args:
        path: A private or public JWKS, or a PEM file.
        algorithm: The algorithm of a PEM key; a JWKS names its own.
        algorithms: The algorithms whose keys are used; if there is one, it need not be named.
        check_seconds: How often a JWKS file is checked for changes.
        hooks: Receive the events of the `KeyFile`.

    Raises:
        ConfigurationError: The file does not exist, cannot be read, or other users can write it.
        InvalidKey: A key is weak, malformed, or lacks its algorithm.

    """
    try:
        data = read_guarded(path)
        if holds_pem(data):
            return KeySet([_pem(data, algorithm or _only(algorithms))])
        _check_no_algorithm(algorithm)
        _check_json(data)
        return KeyFile(path, algorithms, check_seconds=check_seconds, hooks=hooks)
    except FileNotFoundError:
        raise SourceNotFound(["the file does not exist; `linqi keygen` makes one"]) from None
    except OSError as error:
        raise SourceNotFound([f"the file cannot be read: {error.strerror or error}"]) from None


def keys_of_text(
    text: str, algorithm: str | None = None, algorithms: Sequence[str] = ALGORITHMS
) -> KeySet:
    """Return the keys in the text of a variable: a JWKS, a JWK, a PEM or a secret.

    Quotes around JSON are removed: some programs that set variables leave them there. A secret is
    used as it is.

    Args:
        text: The text.
        algorithm: The algorithm of a JWK, a PEM or a secret; a JWKS names its own.
        algorithms: The algorithms whose keys are used; if there is one, it need not be named.

    """
    only = algorithm or _only(algorithms)
    if holds_pem(text):
        return KeySet([_pem(text.encode(), only)])
    inside = text[1:-1].strip() if text[:1] in _QUOTES and text[:1] == text[-1:] else text
    if inside.startswith("{"):
        if '"keys"' in inside:
            _check_no_algorithm(algorithm)
            return KeySet.from_jwks(inside, algorithms)
        return KeySet([Key.from_jwk(inside, only)])
    return KeySet([Key.from_secret(text, only or _SECRET_ALGORITHM)])


def certificate_end(data: bytes) -> float:
    """Return when the certificate ends from which `Key.from_pem` takes the key, in Unix seconds.

    Infinite if the key does not come from a certificate.
    """
    block = key_block(data) if holds_pem(data) else b""
    if not block.startswith(b"-----BEGIN CERTIFICATE"):
        return math.inf
    from linqi.jose._certificate import public_key_of

    return public_key_of(block)[1]


def text_of(variable: str, environ: Mapping[str, str]) -> str:
    """Return the value of an environment variable, without surrounding white space."""
    text = environ.get(variable, "").strip()
    if not text:
        raise SourceNotFound(["the environment variable that it names is not set"])
    if not text.isascii():
        raise SourceNotFound(["the environment variable that it names has non-ASCII characters"])
    return text


def text_of_file(path: Path) -> str:
    """Return the text of a guarded file, without surrounding white space."""
    try:
        return read_guarded(path).decode("ascii").strip()
    except FileNotFoundError:
        raise SourceNotFound(["the file does not exist"]) from None
    except UnicodeDecodeError:
        raise ConfigurationError(["the file has non-ASCII characters"]) from None


def _only(algorithms: Sequence[str]) -> str | None:
    return algorithms[0] if len(algorithms) == 1 else None


def _check_no_algorithm(algorithm: str | None) -> None:
    if algorithm is not None:
        raise ConfigurationError(["a key set names its own algorithms; remove algorithm"])


def _check_json(data: bytes) -> None:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        message = "the file is neither a key set (JSON) nor a PEM; `linqi keygen` makes a key set"
        raise InvalidKey(message) from None


def _pem(pem: bytes, algorithm: str | None) -> Key:
    if algorithm is None:
        raise InvalidKey(
            "a PEM does not name its algorithm; set algorithm beside it, or list one in algorithms"
        )
    return Key.from_pem(pem, algorithm)
