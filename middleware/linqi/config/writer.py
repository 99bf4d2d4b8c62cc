"""Changes keys of ``linqi.toml`` and keeps its comments, order and layout."""

from __future__ import annotations

import errno
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from linqi.config.faults import Fault, InvalidConfig
from linqi.config.reader import read, read_text
from linqi.config.schema import TABLES, Config
from linqi.errors import ConfigurationError, LinqiError
from linqi.jose._atomic_write import write_atomically

__all__ = ["apply_changes", "update"]

_READABLE: Final = 0o644


def update(path: str | Path, changes: Mapping[str, Mapping[str, Any]]) -> Config:
    """Set keys of a file and return its new configuration.

    ``update("linqi.toml", {"renewal": {"buffer_seconds": 300}})``. The comments, the order and the
    layout of the rest stay. The result is checked before it is written, and replaces the file
    atomically. Needs the extra ``tune``.

    Args:
        path: The file; it is created if it does not exist.
        changes: The new values by table and key; None removes a key.

    Raises:
        InvalidConfig: The file, or the result, is not a valid configuration.
        OSError: The file cannot be read or written.

    """
    path = Path(path)
    try:
        real = path.resolve()  # a link stays a link
    except RuntimeError:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from None
    text, mode = "", _READABLE
    if real.exists():
        text, mode = read_text(path), real.stat().st_mode & 0o777
    new = apply_changes(text, changes, source=str(path))
    raw = tomllib.loads(new)
    if raw != _merged(tomllib.loads(text), changes):
        raise LinqiError(f"{path} cannot be changed safely by a program; edit it by hand")
    config = read(raw, source=str(path), folder=path.parent)
    if new != text:
        write_atomically(real, new.encode(), mode)
    return config


def apply_changes(
    text: str, changes: Mapping[str, Mapping[str, Any]], source: str = "linqi.toml"
) -> str:
    """Return the TOML `text` with `changes` applied."""
    try:
        import tomlkit
        from tomlkit.exceptions import TOMLKitError
    except ModuleNotFoundError:
        raise ConfigurationError(
            ["tomlkit is not installed, so the file cannot be written; pip install 'linqi[tune]'"]
        ) from None
    try:
        document = tomlkit.parse(text)
    except (TOMLKitError, ValueError, RecursionError) as error:
        expected = f"the file is not TOML: {error}"
        raise InvalidConfig([Fault(code="not-toml", source=source, expected=expected)]) from None
    for name, keys in changes.items():
        if name not in TABLES:
            expected = "unknown table, or one that `update` cannot change"
            raise InvalidConfig(
                [Fault(code="unknown-table", source=source, table=name, expected=expected)]
            )
        table = document.get(name)
        if table is None:
            if all(value is None for value in keys.values()):
                continue
            if len(document):
                document.add(tomlkit.nl())
            table = tomlkit.table()
            document[name] = table
        for key, value in keys.items():
            if value is None:
                table.pop(key, None)
            else:
                with _below_its_keys(table) if key not in table else nullcontext():
                    table[key] = list(value) if isinstance(value, tuple) else value
    return tomlkit.dumps(document)


def _merged(raw: Mapping[str, Any], changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the changed file must parse to."""
    merged = dict(raw)
    for name, keys in changes.items():
        if name not in raw and all(value is None for value in keys.values()):
            continue
        table = {**raw.get(name, {}), **keys}
        merged[name] = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in table.items()
            if value is not None
        }
    return merged


@contextmanager
def _below_its_keys(table: Any) -> Iterator[None]:
    """Insert keys before the blank line and the comments at the end of `table`.

    Those comments belong to the next table.
    """
    from tomlkit.items import Table, Whitespace

    tail: list[Any] = []
    if isinstance(table, Table):
        body = table.value.body
        last = max((n for n, (key, _) in enumerate(body) if key is not None), default=-1)
        blank = next(
            (n for n in range(last + 1, len(body)) if isinstance(body[n][1], Whitespace)), None
        )
        if blank is not None:
            tail = body[blank:]
            del body[blank:]
    yield
    if tail:
        table.value.body.extend(tail)
