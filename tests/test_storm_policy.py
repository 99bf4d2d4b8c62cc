"""The renewal policy of `linqi storm --app`: that of `--policy`, whatever the file says."""

import dataclasses

import pytest

from linqi.config import Config
from linqi_storm.apps.user_app import config_for_run


@pytest.mark.parametrize("in_file", ["grid", "plain", "jitter"])
@pytest.mark.parametrize(
    ("policy", "expected"), [("grid", "grid"), ("plain", "plain"), ("jitter .25", "jitter")]
)
def test_the_workers_of_an_application_renew_by_the_policy_of_the_storm(
    in_file: str, policy: str, expected: str
) -> None:
    """The clients expect it, so an application that kept its own would break an invariant."""
    written = Config()
    written = dataclasses.replace(
        written, renewal=dataclasses.replace(written.renewal, policy=in_file)
    )
    renewal = config_for_run(
        written,
        jwks="",
        secret="",
        store="",
        lifetime=60,
        buffer=20,
        policy=policy,
        whole_seconds=False,
    ).renewal
    assert renewal.policy == expected
    assert renewal.jitter_width == (0.25 if expected == "jitter" else written.renewal.jitter_width)
