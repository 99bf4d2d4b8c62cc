"""Scenarios by name, or by the module and class of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from linqi import ConfigurationError
from linqi.commands.command_parser import nearest
from linqi_storm.scenarios.base import Scenario
from linqi_storm.scenarios.dual import LostReplies, Revoke, StoreOutage, StormDual, Tabs
from linqi_storm.scenarios.hosts import ClockStep, Failover, Partition
from linqi_storm.scenarios.incidents import (
    Audiences,
    ColdStart,
    DeadToken,
    Polling,
    Ssr,
    SwitchOn,
    Throttled,
)
from linqi_storm.scenarios.outside import IssuerKeyRotation, IssuerOutage, KidFlood
from linqi_storm.scenarios.sliding import (
    Deploy,
    GarbageFlood,
    LostSuccessors,
    Morning,
    Steady,
    StormHandwritten,
    StormSliding,
)
from linqi_storm.scenarios.user_module import import_here

__all__ = ["SCENARIOS", "find_scenario"]

SCENARIOS: Final[Mapping[str, type[Scenario]]] = {
    scenario.name: scenario
    for scenario in (
        *(Steady, StormSliding, StormDual, Tabs, LostReplies, LostSuccessors, IssuerKeyRotation),
        *(
            IssuerOutage,
            StoreOutage,
            Failover,
            Partition,
            ClockStep,
            KidFlood,
            GarbageFlood,
            Revoke,
            Deploy,
            Morning,
            StormHandwritten,
        ),
        *(Polling, DeadToken, Ssr, Audiences, SwitchOn, Throttled, ColdStart),
    )
}


def find_scenario(name: str) -> type[Scenario]:
    """Return the scenario class of a registered name, or of ``module:Class``.

    The module may be a file of the current folder, as that of ``--app`` may.

    Raises:
        ConfigurationError: If the name is unknown, the class cannot be imported, or it is not a
            subclass of `Scenario`.

    """
    if name in SCENARIOS:
        return SCENARIOS[name]
    module, colon, member = name.partition(":")
    known = f"one of: {', '.join(SCENARIOS)}"
    if not colon:
        near = nearest(name, SCENARIOS)
        advice = f"did you mean {near}?" if near else f"expected module:Class or {known}"
        raise ConfigurationError([f"there is no scenario {name[:64]!r}; {advice}"])
    try:
        found = getattr(import_here(module), member)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError([f"the scenario {name} cannot be imported: {error}"]) from error
    if not (isinstance(found, type) and issubclass(found, Scenario)):
        raise ConfigurationError([f"{name} is not a subclass of linqi_storm.scenarios.Scenario"])
    return found
