"""The limits of a load generator beyond which a run is void."""

from __future__ import annotations

from typing import Final

__all__ = ["CPU_LIMIT", "LAG_LIMIT_MS"]

CPU_LIMIT: Final = 0.8
"""Share of one core that the busiest process uses in a second (95th percentile)."""
LAG_LIMIT_MS: Final = 10.0
"""From when a request should be sent until it is sent (99th percentile)."""
