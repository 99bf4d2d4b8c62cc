"""The changes that advice makes to ``linqi.toml``, and their diff."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linqi.config.schema import TABLES
from linqi.config.writer import apply_changes

__all__ = ["diff_of", "real_changes"]


def real_changes(path: Path, changes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return those of `changes` that differ from the file at `path`.

    A key that the file lacks has its default; overrides by the environment are ignored.
    """
    raw = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    found: dict[str, dict[str, Any]] = {}
    for table, keys in changes.items():
        for key, value in keys.items():
            said = raw.get(table, {})
            if value is None:
                is_other = key in said
            else:
                is_other = said.get(key, _default(table, key)) != value
            if is_other:
                found.setdefault(table, {})[key] = value
    return found


def _default(table: str, key: str) -> Any:
    default = getattr(TABLES[table](), key)
    return list(default) if isinstance(default, tuple) else default


def diff_of(path: Path, changes: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the unified diff that writing `changes` to `path` would make; empty for none."""
    old = path.read_text("utf-8") if path.exists() else ""
    new = apply_changes(old, changes, source=str(path))
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), str(path), f"{path}, tuned"
    )
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)
