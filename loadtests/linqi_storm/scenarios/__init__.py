"""The scenarios: each is a class that describes a load and can be subclassed."""

from __future__ import annotations

from linqi_storm.scenarios.base import Scenario, ServerControl
from linqi_storm.scenarios.registry import SCENARIOS, find_scenario
from linqi_storm.schema.load import StormLoad

__all__ = ["SCENARIOS", "Scenario", "ServerControl", "StormLoad", "find_scenario"]
