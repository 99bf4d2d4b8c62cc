"""Costs on the user's machine, from a result of ``linqi bench``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from linqi.errors import ConfigurationError
from linqi_tune.model.measurements import REFERENCE_COSTS, Costs

__all__ = ["read_bench"]

_SIZES: Final = ("1KB", "300B", "4KB")
"""Sizes of tokens, the typical one first."""


def read_bench(path: Path) -> Costs:
    """Return the costs in a result of ``linqi bench``.

    Missing figures are taken from the reference, and `Costs.source` names them.

    Raises:
        ConfigurationError: The file is no such result, or has no figure of verification or
            signing.

    """
    from linqi_bench.results import Result, ResultError

    try:
        figures = Result.read(path).by_id
    except ResultError as error:
        raise ConfigurationError([str(error)]) from error
    verify, _ = _by_algorithm(figures, "verify.cold.")
    sign, sign_between = _by_algorithm(figures, "sign.")
    if not verify and not sign:
        raise ConfigurationError([f"{path} has no figure of verification or signing"])
    hit = _over(figures.get("middleware.hit"))
    sizes = [name for name in sorted(figures) if name.startswith("cache.bytes_per_entry.")]
    entry = _median(figures[sizes[-1]]) if sizes else None
    missing = [name for name, value in (("hit", hit), ("memory", entry)) if value is None]
    return Costs(
        hit=REFERENCE_COSTS.hit if hit is None else hit,
        verify={**REFERENCE_COSTS.verify, **verify},
        sign={**REFERENCE_COSTS.sign, **sign},
        entry_bytes=REFERENCE_COSTS.entry_bytes if entry is None else entry,
        sign_between=sign_between,
        assumed=sorted({*REFERENCE_COSTS.verify, *REFERENCE_COSTS.sign} - ({*verify} & {*sign})),
        source=path.name + (f" (reference figures for {', '.join(missing)})" if missing else ""),
    )


def _by_algorithm(
    figures: Mapping[str, Mapping[str, Any]], prefix: str
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return microseconds by algorithm with their intervals, for the typical size of a token.

    A benchmark names the curve of EdDSA, a token only the algorithm.
    """
    found: dict[str, tuple[int, float, tuple[float, float]]] = {}
    for name, figure in figures.items():
        algorithm, _, size = name.removeprefix(prefix).partition(".")
        if not name.startswith(prefix) or figure["unit"] != "us":
            continue
        rank = _SIZES.index(size) if size in _SIZES else len(_SIZES)
        value = figure["value"]
        cost = (rank, _median(figure), (float(value["low"]), float(value["high"])))
        for name in (algorithm, "EdDSA") if algorithm == "Ed25519" else (algorithm,):
            found[name] = min(found.get(name, cost), cost)
    return (
        {name: value for name, (_, value, _) in found.items()},
        {name: between for name, (_, _, between) in found.items()},
    )


def _median(figure: Mapping[str, Any]) -> float:
    return float(figure["value"]["median"])


def _over(figure: Mapping[str, Any] | None) -> float | None:
    """Return the additional cost of a call over the bare application."""
    if figure is None:
        return None
    over = figure.get("over")
    return _median(figure) if over is None else float(over["median"])
