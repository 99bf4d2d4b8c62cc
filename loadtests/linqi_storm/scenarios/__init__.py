"""The scenarios: ways to load a service, each a class to subclass."""

from __future__ import annotations

from linqi_storm.scenarios.base import Scenario, Stage
from linqi_storm.scenarios.registry import SCENARIOS, find_scenario
from linqi_storm.schema.shape import Shape

__all__ = ["SCENARIOS", "Scenario", "Shape", "Stage", "find_scenario"]
