"""The log is the same for everyone, and tuned settings weaken nothing."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import make_log  # noqa: E402


def linqi(folder, *words):
    """Run a command of linqi in a folder."""
    run = [sys.executable, "-m", "linqi", *words]
    return subprocess.run(run, cwd=folder, capture_output=True, text=True, encoding="utf-8")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Return a folder with the shop, its log, and settings that were tuned for it."""
    folder = tmp_path_factory.mktemp("shop")
    for name in ("linqi.toml", "shop.py"):
        (folder / name).write_bytes((HERE / name).read_bytes())
    make_log.write(folder / "access.log.gz", people=40, days=5)
    log = ["--log", "access.log.gz", "--log-session", "user", "--exclude", "bots"]
    done = linqi(folder, "tune", *log, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def settings(folder):
    """Return the settings in a folder."""
    return tomllib.loads((folder / "linqi.toml").read_text("utf-8"))


def test_the_same_arguments_give_the_same_log(tmp_path):
    """So the figures of the page can be repeated."""
    for name in ("one.gz", "two.gz"):
        make_log.write(tmp_path / name, people=5, days=2)
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


def test_the_advice_is_a_longer_buffer_on_the_grid(shop):
    """Users who pause for longer than the buffer in force need a longer one."""
    tuned = settings(shop)["renewal"]
    assert tuned["policy"] == "grid"
    assert tuned["buffer_seconds"] > 300


def test_a_stolen_token_is_valid_for_no_longer_than_before(shop):
    """The comfort of users is not paid for with the lifetime of tokens."""
    assert settings(shop)["renewal"]["lifetime_seconds"] <= 3600


def test_other_settings_stay_as_they_were(shop):
    """The tuner does not touch keys, issuer and audience."""
    before = settings(HERE)
    assert {name: settings(shop)[name] for name in ("verify", "keys")} == {
        name: before[name] for name in ("verify", "keys")
    }


def test_tuned_settings_keep_attackers_out_in_a_storm(shop):
    """While all tokens expire: none that is forged, foreign or expired is accepted."""
    load = ["--sessions", "20", "--seconds", "5", "--compress", "900", "--gap-seconds", "200"]
    app = ["--app", "shop:app", "--path", "/orders", "--config", "linqi.toml"]
    done = linqi(shop, "storm", *app, *load, "--output", "storm.json")
    assert done.returncode in (0, 3), done.stdout + done.stderr  # 3: this machine is too busy
    checks = json.loads((shop / "storm.json").read_text("utf-8"))["checks"]
    judged = {check["name"]: check["seen"] for check in checks}
    for rule in (
        "forged tokens accepted",
        "expired tokens accepted",
        "requests without a token accepted",
        "answers for another user",
    ):
        assert judged[rule] == 0, rule
