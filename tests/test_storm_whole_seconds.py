"""Tokens of a storm have whole-second times exactly if its times are not compressed."""

import pytest

from linqi import RenewalSettings
from linqi.config import Config
from linqi_storm.apps.embedded import AppSpec, renewal_settings
from linqi_storm.apps.user_app import config_for_run
from linqi_storm.run.assembly import not_kept
from linqi_storm.scenarios import find_scenario
from linqi_storm.schema.load import StormLoad

SIXTY = [
    StormLoad(lifetime=60, buffer=20, compression=15),
    StormLoad(lifetime=60, buffer=20, compression=1),
    StormLoad(lifetime=59, buffer=20, compression=1),
    StormLoad(lifetime=61, buffer=20, compression=1.5),
]


@pytest.mark.parametrize("load", SIXTY, ids=str)
def test_only_compression_decides(load: StormLoad) -> None:
    """A lifetime of exactly 60 s is not special: the servers, the clients and the result agree."""
    is_real = load.compression == 1
    assert load.whole_seconds == is_real
    spec = AppSpec(
        kind="sliding", lifetime=load.lifetime, buffer=load.buffer, whole_seconds=is_real
    )
    assert renewal_settings(spec).is_whole == is_real
    own = config_for_run(
        Config(),
        jwks="",
        secret="",
        store="",
        lifetime=load.lifetime,
        buffer=load.buffer,
        policy="grid",
        whole_seconds=load.whole_seconds,
    )
    assert own.renewal.settings().is_whole == is_real
    assert any("whole-second" in line for line in not_kept(load)) != is_real


def test_the_default_storm_has_no_bundles_at_whole_seconds() -> None:
    """Its lifetime is 60 s, 900 s compressed: sessions are due between the seconds too."""
    load = find_scenario("storm-sliding").load
    settings = RenewalSettings(
        lifetime=load.lifetime, buffer=load.buffer, whole_seconds=load.whole_seconds
    )
    assert load.lifetime == 60
    assert not settings.is_whole
