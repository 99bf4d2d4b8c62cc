"""The files of a log, as relations of SQL: lines of text, or tables."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from linqi_tune.evidence.log_engine import LogEngine, UnreadableLog, literal

__all__ = ["LogFiles"]

_LONGEST_LINE: Final = 262_144
_SAMPLE: Final = 200
_PACKED: Final = (".gz", ".zst")
_TABLES: Final = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}


class LogFiles:
    """Files by name or by pattern, ``.gz`` and ``.zst`` too, in any order.

    Raises:
        UnreadableLog: A pattern or a name has no file.

    """

    def __init__(self, patterns: Sequence[str | Path]) -> None:
        self.paths = tuple(dict.fromkeys(path for one in patterns for path in _paths(str(one))))

    @property
    def names(self) -> str:
        """The names, for reports."""
        shown = [path.name for path in self.paths[:3]]
        more = len(self.paths) - len(shown)
        return ", ".join(shown) + (f" and {more} more" if more else "")

    @property
    def bytes(self) -> int:
        """The size of all files, packed ones as they are."""
        return sum(path.stat().st_size for path in self.paths)

    @property
    def table_format(self) -> str:
        """``csv`` or ``parquet`` by the name of the first file, else empty."""
        path = self.paths[0]
        name = path.with_suffix("") if path.suffix in _PACKED else path
        return _TABLES.get(name.suffix, "")

    def lines(self) -> str:
        """Return SQL with the column `line`: all lines that are no longer than 256 KB.

        A line that is no UTF-8 is passed over, and listed among the engine's rejects.
        """
        return (
            f"SELECT line FROM read_csv({self._listed()}, columns={{'line': 'VARCHAR'}},"
            # No line holds the separator, so each is one value.
            " auto_detect=false, header=false, delim=chr(1) || chr(2) || chr(3) || chr(4),"
            " quote='', escape='', comment='', strict_mode=false, null_padding=true,"
            f" ignore_errors=true, max_line_size={_LONGEST_LINE},"
            " store_rejects=true, rejects_limit=1000) WHERE line IS NOT NULL"
        )

    def table(self, kind: str) -> str:
        """Return SQL with the columns of CSV files with a header, or of Parquet files."""
        if kind == "parquet":
            return f"SELECT * FROM read_parquet({self._listed()}, union_by_name=true)"
        return (
            f"SELECT * FROM read_csv({self._listed()}, header=true, all_varchar=true,"
            " union_by_name=true, ignore_errors=true)"
        )

    def sample(self, engine: LogEngine) -> list[str]:
        """Return the first lines of the first file that has one."""
        sql = f"{self.lines()} LIMIT {_SAMPLE}"
        return [line for (line,) in engine.rows(sql)]

    def _listed(self) -> str:
        return f"[{', '.join(literal(glob.escape(str(path))) for path in self.paths)}]"


def _paths(pattern: str) -> list[Path]:
    if Path(pattern).is_file():
        return [Path(pattern)]
    found = sorted(Path(name) for name in glob.glob(pattern, recursive=True))
    paths = [path for path in found if path.is_file()]
    if not paths:
        raise UnreadableLog(f"--log {pattern}: there is no such file")
    return paths
