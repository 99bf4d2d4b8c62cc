"""The statistics of a Locust run as Markdown, for a job's summary.

``python -m linqi_storm.report.locust_markdown run.json 1`` prints them; 1 is Locust's exit code.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from linqi_storm.report.markdown import MARKS, escaped, table

__all__ = ["locust_markdown"]

_VERDICTS: Final = {0: "PASS"}


def locust_markdown(rows: list[dict[str, Any]], code: int) -> str:
    """Return the verdict and a table of the rows that ``--json-file`` of Locust wrote."""
    verdict = _VERDICTS.get(code, "FAIL")
    failed = [row for row in rows if row["num_failures"]]
    words = (
        f"{sum(row['num_requests'] for row in rows)} requests, none failed"
        if not failed
        else "; ".join(f"{row['num_failures']} of {_name(row)}" for row in failed)
    )
    if failed:
        words = f"failed: {words}"
    cells = [
        (
            str(row["method"]),
            str(row["name"]),
            str(row["num_requests"]),
            str(row["num_failures"]),
            f"{row['total_response_time'] / max(1, row['num_requests']):.1f} ms",
            f"{row['max_response_time']:.1f} ms",
        )
        for row in rows
    ]
    title = f"### {MARKS[verdict]} Locust with LinqiUser: {verdict} (exit code {code})"
    columns = ("Type", "Name", "Requests", "Failures", "Mean", "Longest")
    return "\n\n".join((title, escaped(words), table(columns, cells))) + "\n"


def _name(row: dict[str, Any]) -> str:
    return f"{row['method']} {row['name']}".strip()


def main(path: Path, code: int) -> None:
    """Print the statistics in the file; without one, that Locust did not run."""
    if not path.exists():
        print(f"### {MARKS['FAIL']} Locust did not run (exit code {code})")
        return
    print(locust_markdown(msgspec.json.decode(path.read_bytes()), code))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
