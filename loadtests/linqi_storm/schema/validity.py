"""How far a generator may fall behind its own plan until its run is void."""

from __future__ import annotations

from typing import Final

__all__ = ["CPU_LIMIT", "LAG_LIMIT_MS"]

CPU_LIMIT: Final = 0.8
"""Share of one core in a second (95th percentile), the busiest process."""
LAG_LIMIT_MS: Final = 10.0
"""From when a request should be sent until its sending begins (99th percentile)."""
