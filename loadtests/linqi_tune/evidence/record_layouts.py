"""Logs of records with named members: JSON lines, extended logs of W3C, CSV and Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from linqi_tune.evidence.log_engine import identifier, literal

__all__ = ["JsonLayout", "TableLayout", "W3CLayout"]


class JsonLayout:
    """One JSON object a line; a dot in a name goes down one level, or is a part of the name."""

    def __init__(self, name: str, required: Iterable[str] = ()) -> None:
        self.name = name
        self._required = tuple(required)

    def select(self, lines: str, wanted: Mapping[str, Sequence[str]]) -> str:
        """Return SQL with a column for each part of `wanted`, `rest` and `fits`."""
        pointers: list[str] = []
        columns = []
        for column, names in wanted.items():
            listed = [pointer for name in names for pointer in _pointers(name)]
            columns.append(f"{_first_of(listed, len(pointers))} AS {column}")
            pointers += listed
        required = []
        for name in self._required:
            listed = _pointers(name)
            required.append(f"{_first_of(listed, len(pointers))} IS NOT NULL")
            pointers += listed
        fits = " AND ".join(["j IS NOT NULL", *required])
        listed_sql = ", ".join(map(literal, pointers))
        # nginx escapes as \\xHH, which is no JSON.
        record = (
            "CASE WHEN starts_with(ltrim(line), '{') THEN CASE WHEN contains(line, '\\x')"
            " THEN replace(line, '\\x', '\\u00') ELSE line END END"
        )
        return (
            f"SELECT {', '.join(columns)}, '' AS rest, ({fits}) AS fits FROM"
            f" (SELECT try(json_extract_string({record}, [{listed_sql}])) AS j FROM ({lines}))"
        )


def _pointers(name: str) -> list[str]:
    """Return the JSON pointers (RFC 6901) of a name: as one member, and level by level."""
    escaped = name.replace("~", "~0").replace("/", "~1")
    nested = "/" + escaped.replace(".", "/")
    return ["/" + escaped] if "." not in name else ["/" + escaped, nested]


def _first_of(pointers: Sequence[str], before: int) -> str:
    """Return the first value that is neither absent nor empty; objects and lists are no values."""
    values = [f"nullif(j[{before + n}], '')" for n in range(1, len(pointers) + 1)]
    return f"coalesce({', '.join([*values, 'NULL'])})"


class W3CLayout:
    """An extended log file of W3C: fields between blanks or tabs, named by ``#Fields:``."""

    def __init__(self, name: str, fields: Sequence[str], separator: str) -> None:
        self.name = name
        self.fields = tuple(fields)
        self._separator = separator

    def select(self, lines: str, wanted: Mapping[str, Sequence[str]]) -> str:
        """Return SQL with a column for each part of `wanted`, `rest` and `fits`."""
        columns = []
        for column, names in wanted.items():
            if "time" in names and {"date", "time"} <= set(self.fields):
                value = f"{self._at('date')} || ' ' || {self._at('time')}"
            else:
                value = next((self._at(name) for name in names if name in self.fields), "NULL")
            columns.append(f"{value} AS {column}")
        separator = "chr(9)" if self._separator == "\t" else "' '"
        return (
            f"SELECT {', '.join(columns)}, '' AS rest, len(p) = {len(self.fields)} AS fits FROM"
            f" (SELECT string_split(line, {separator}) AS p FROM ({lines})"
            " WHERE NOT starts_with(line, '#'))"
        )

    def _at(self, name: str) -> str:
        return f"p[{self.fields.index(name) + 1}]"


class TableLayout:
    """CSV with a header or Parquet: columns by name; a dot goes down into a struct."""

    def __init__(self, name: str, columns: Mapping[str, str]) -> None:
        self.name = name
        self._columns = columns

    def select(self, lines: str, wanted: Mapping[str, Sequence[str]]) -> str:
        """Return SQL with a column for each part of `wanted`, `rest` and `fits`."""
        columns = []
        for column, names in wanted.items():
            found = [value for name in names if (value := self._value(name))]
            columns.append(f"coalesce({', '.join([*found[:1], 'NULL'])}) AS {column}")
        return f"SELECT {', '.join(columns)}, '' AS rest, true AS fits FROM ({lines})"

    def _value(self, name: str) -> str | None:
        if name in self._columns:
            return f"CAST({identifier(name)} AS VARCHAR)"
        first, *others = name.split(".")
        if not others or not self._columns.get(first, "").startswith("STRUCT"):
            return None
        path = ".".join(map(identifier, (first, *others)))
        return f"CAST({path} AS VARCHAR)"
