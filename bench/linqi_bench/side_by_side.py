"""One Markdown table of several runs: ``python -m linqi_bench.side_by_side FILE...``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from linqi_bench.report import describe, noise_of, number
from linqi_bench.results import Result, ResultError

__all__ = ["side_by_side"]


def side_by_side(results: Sequence[Result]) -> str:
    """Return a row for each figure and a column for each run, named by its Python.

    A cell is what the figure takes over its baseline, with half of its interval, or the figure.
    """
    names = {each["id"]: each["name"] for result in results for each in result.figures}
    rows = [["figure", *(result.machine["python"] for result in results)]]
    rows.append(["---", *("---:" for _ in results)])
    for figure_id, name in names.items():
        rows.append([name, *(_cell(result.by_id.get(figure_id)) for result in results)])
    said = []
    for result in results:
        said.append(f"{result.machine['taken_at']}: {describe(result.machine)}")
        said += filter(None, [noise_of(result)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n\n" + "\n\n".join(said) + "\n"


def _cell(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return ""
    over = figure["over"]
    if over is None:
        return number(figure["value"]["median"], figure["unit"])
    return (
        f"{over['median']:+.1f} ±{(over['high'] - over['low']) / 2:.1f}"
        f" over {number(figure['raw'], figure['unit'])}"
    )


def main() -> None:
    """Print the table of the files of the command line."""
    try:
        sys.stdout.write(side_by_side([Result.read(Path(name)) for name in sys.argv[1:]]))
    except (OSError, ResultError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
