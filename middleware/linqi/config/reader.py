"""Reads ``linqi.toml`` and the environment into a `Config`, or reports every fault."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from linqi.config.faults import Fault, Faults, InvalidConfig
from linqi.config.issuer_table import IssuerTable
from linqi.config.schema import ISSUERS, MOST_ISSUERS, TABLES, Config, every_setting
from linqi.config.setting import Setting, settings_of
from linqi.config.value_types import display_value
from linqi.errors import ConfigurationError

__all__ = ["PREFIX", "load", "read", "read_text", "variable_of"]

PREFIX: Final = "LINQI_"
_MOST_BYTES: Final = 1_048_576
_SECRET: Final = re.compile(r"secret|passw|private|pem|token|credential|^k$|^d$|^jwks?$", re.I)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def load(path: str | Path = "linqi.toml", environ: Mapping[str, str] | None = None) -> Config:
    """Return the configuration of a file and its environment overrides.

    Args:
        path: The file.
        environ: The environment variables; the default is ``os.environ``.

    Raises:
        InvalidConfig: Every fault with its place.

    """
    text = read_text(path)
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        detail = (
            str(error) if isinstance(error, tomllib.TOMLDecodeError) else "too deep or too long"
        )
        raise InvalidConfig(
            [Fault(code="not-toml", source=str(path), expected=f"the file is not TOML: {detail}")]
        ) from None
    return read(
        raw,
        source=str(path),
        folder=Path(path).parent,
        environ=os.environ if environ is None else environ,
    )


def read_text(path: str | Path) -> str:
    """Return the text of a file; raise `InvalidConfig` if it cannot be read as UTF-8."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ValueError(f"has more than {_MOST_BYTES} bytes")
        if data.startswith(b"\xef\xbb\xbf"):
            raise ValueError("begins with a byte order mark; save it as plain UTF-8")
        return data.decode("utf-8")
    except FileNotFoundError:
        expected = "the file does not exist; `linqi init` writes one"
    except OSError as error:
        expected = f"the file cannot be read: {error.strerror or error}"
    except UnicodeDecodeError as error:
        expected = f"the file is not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}"
    except ValueError as error:
        expected = f"the file {error}"
    raise InvalidConfig([Fault(code="unreadable", source=str(path), expected=expected)])


def read(
    raw: Mapping[str, Any],
    *,
    source: str = "linqi.toml",
    folder: Path = Path(),
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Return the configuration of parsed TOML.

    Args:
        raw: The parsed file.
        source: What messages call the file.
        folder: What relative paths start at.
        environ: Environment variables that override keys; none by default.

    Raises:
        InvalidConfig: Every fault with its place.

    """
    reading = _Reading(source)
    reading.take_tables(raw)
    overrides = [*reading.take_environment(environ or {})]
    tables = {name: reading.table(name) for name in TABLES}
    issuers = reading.issuers(raw.get(ISSUERS, []))
    reading.faults.raise_any()
    return Config(
        **tables,
        issuers=issuers,
        source=source,
        folder=folder,
        overrides=tuple(overrides),
    )


def variable_of(table: str, key: str) -> str:
    """Return the name of the environment variable that overrides a key."""
    return f"{PREFIX}{table}__{key}".upper()


class _Reading:
    """The values read so far, with their sources, and the faults."""

    def __init__(self, source: str) -> None:
        self.faults = Faults(source)
        self.values: dict[str, dict[str, tuple[Any, str]]] = {name: {} for name in TABLES}
        self._source = source

    def take_tables(self, raw: Mapping[str, Any]) -> None:
        """Add the keys of the file."""
        for name, members in raw.items():
            if name == ISSUERS:
                continue
            if name not in TABLES:
                self.faults.add("unknown-table", _plain(name), "", _unknown_table(name, members))
            elif not isinstance(members, Mapping):
                expected = f"expected a table: [{name}] on a line of its own, its keys below"
                self.faults.add("wrong-value", name, "", expected, seen=display_value(members))
            else:
                for key, value in members.items():
                    if key in settings_of(TABLES[name]):
                        self.values[name][key] = (value, self._source)
                    else:
                        self._unknown_key(name, key, settings_of(TABLES[name]))

    def take_environment(self, environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
        """Add the overrides; yield each variable with the table and the key that it sets."""
        known = {variable_of(t, s.name): (t, s) for t, s in every_setting() if t != ISSUERS}
        flat = {name.replace("__", "_"): name for name in known}
        for variable in sorted(environ):
            if not variable.startswith(PREFIX):
                continue
            if variable in known:
                table, setting = known[variable]
                value = setting.value_type.parse(environ[variable])
                self.values[table][setting.name] = (value, variable)
                yield variable, table, setting.name
            elif "__" in variable or variable in flat:
                near = flat.get(variable) or _nearest(variable, known)
                expected = f"unknown variable{f'; did you mean {near}?' if near else ''}"
                if variable.startswith(f"{PREFIX}ISSUERS__"):
                    expected = "variables cannot set [[issuers]]; write it in the file"
                self.faults.add("unknown-key", "", "", expected, source=_plain(variable))

    def table(self, name: str) -> Any:
        """Return a table; the defaults if it has faults."""
        made = TABLES[name]
        values = self._checked(name, settings_of(made), self.values[name])
        if values is None:
            return made()
        table = made(**values)
        if hasattr(table, "settings"):
            try:
                table.settings()
            except ConfigurationError as error:
                for text in error.faults:
                    self._contradiction(name, text)
        return table

    def issuers(self, entries: object) -> tuple[IssuerTable, ...]:
        """Return the tables of the outside issuers."""
        if not isinstance(entries, list) or not all(isinstance(e, Mapping) for e in entries):
            expected = "expected an array of tables: [[issuers]] on a line of its own for each"
            self.faults.add("wrong-value", ISSUERS, "", expected, seen=display_value(entries))
            return ()
        if len(entries) > MOST_ISSUERS:
            expected = f"expected at most {MOST_ISSUERS}"
            self.faults.add("wrong-value", ISSUERS, "", expected, seen=display_value(entries))
            return ()
        known = settings_of(IssuerTable)
        found = []
        for position, entry in enumerate(entries):
            name = f"{ISSUERS}.{position}"
            given = {}
            for key, value in entry.items():
                if key in known:
                    given[key] = (value, self._source)
                else:
                    self._unknown_key(name, key, known)
            values = self._checked(name, known, given)
            if values is not None:
                found.append(IssuerTable(**values))
        return tuple(found)

    def _checked(
        self, table: str, known: Mapping[str, Setting], given: Mapping[str, tuple[Any, str]]
    ) -> dict[str, Any] | None:
        """Return the values of a table, frozen; None if any of them has a fault."""
        before = len(self.faults.found)
        values = {}
        for key, (value, source) in given.items():
            setting = known[key]
            seen = "(not shown)" if setting.is_hidden else display_value(value)
            if not setting.value_type.fits(value):
                expected = f"expected {setting.value_type.description}"
                self.faults.add("wrong-value", table, key, expected, seen=seen, source=source)
                continue
            values[key] = _frozen(value)
            if setting.validate is not None:
                try:
                    setting.validate(values[key])
                except ConfigurationError as error:
                    for text in error.faults:
                        self.faults.add("wrong-value", table, key, text, seen=seen, source=source)
        return values if len(self.faults.found) == before else None

    def _contradiction(self, table: str, text: str) -> None:
        """Add a fault of a settings class, at the key of the parameter that starts its message."""
        parameter = text.partition(" ")[0]
        for key, setting in settings_of(TABLES[table]).items():
            if setting.parameter == parameter:
                value, source = self.values[table].get(key, (setting.default, self._source))
                said, comma, expected = text.partition(", expected ")
                is_buffer = (table, key) == ("renewal", "buffer_seconds")
                self.faults.add(
                    "buffer-over-half" if is_buffer else "contradiction",
                    table,
                    key,
                    f"expected {expected}" if comma else said,
                    seen=display_value(value),
                    source=source,
                )
                return
        self.faults.add("contradiction", table, "", text)

    def _unknown_key(self, table: str, key: str, known: Mapping[str, Setting]) -> None:
        # The value is not shown: it may be a secret.
        near = _nearest(key, known)
        homes = [name for name, cls in TABLES.items() if key in settings_of(cls)]
        if homes:
            expected = f"unknown key; it belongs in {_in_brackets(homes)}"
        elif near:
            expected = f"unknown key; did you mean {near}?"
        elif _SECRET.search(key):
            expected = (
                "unknown key; secrets do not belong in this file: name a file or an"
                " environment variable instead"
            )
        else:
            expected = f"unknown key; known keys are {', '.join(known)}"
        self.faults.add("unknown-key", table, _plain(key), expected)


def _unknown_table(name: str, members: object) -> str:
    is_table = isinstance(members, Mapping | list)
    if not is_table:
        homes = [table for table, cls in TABLES.items() if name in settings_of(cls)]
        if homes:
            return f"the key is outside any table; it belongs below {_in_brackets(homes)}"
    near = _nearest(name, [*TABLES, ISSUERS])
    if near:
        return f"unknown table; did you mean {f'[[{near}]]' if near == ISSUERS else f'[{near}]'}?"
    return f"unknown table; known tables are {', '.join([*TABLES, ISSUERS])}"


def _in_brackets(tables: Sequence[str]) -> str:
    return " or ".join(f"[{table}]" for table in tables)


def _nearest(name: str, known: Collection[str]) -> str | None:
    found = difflib.get_close_matches(name[:128], known, 1)
    return found[0] if found else None


def _plain(name: str) -> str:
    """Return a name that is safe to print: no control characters, limited length."""
    return name if _PLAIN.fullmatch(name) else display_value(name)


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {name: _frozen(item) for name, item in value.items()}
    return value
