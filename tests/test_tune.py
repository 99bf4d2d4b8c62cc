"""``linqi tune``: what it reads, shows, writes, and leaves unchanged."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from linqi.cli import main
from linqi.config.reader import load
from test_access_log import write_log

STORMS = Path(__file__).parent / "storms"
VOID = STORMS / "void.json"
"""A storm on a busy machine, whose generator was late."""
CONFIG = """\
# ours
[renewal]
lifetime_seconds = 900  # a quarter of an hour
buffer_seconds = 60
policy = "plain"
jitter_width = 0.3

[cache]
max_entries = 100
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a bad configuration."""
    path = tmp_path / "linqi.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def storm(tmp_path: Path) -> Path:
    """Return a copy of a storm whose generator kept up."""
    return Path(shutil.copy(STORMS / "plain.json", tmp_path / "storm.json"))


def tune(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    """Run with --json; return the document."""
    assert main(["tune", "--json", *map(str, arguments)]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_a_storm_becomes_settings_with_comments_kept(
    storm: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The advised values are written, and the comments of the file stay."""
    targets = ("--max-lifetime-seconds", "900", "--workers", "2")
    document = tune(capsys, "--storm", storm, "--config", config, "--yes", *targets)
    text = config.read_text()
    assert document["written"] is True
    assert "# ours" in text
    assert "# a quarter of an hour" in text
    assert "jitter_width" not in text
    loaded = load(config)
    assert loaded.renewal.policy == "grid"
    plan = next(o["plan"] for o in document["options"] if o["name"] == "balanced")
    assert loaded.renewal.buffer_seconds == plan["buffer_seconds"] > 60
    assert loaded.cache.max_entries == plan["cache_entries"] > 100
    assert document["changes"]["renewal"]["policy"] == "grid"
    again = tune(capsys, "--storm", storm, "--config", config, "--yes", *targets)
    assert again["changes"] == {}
    assert again["written"] is False


def test_a_dry_run_shows_the_change_and_writes_nothing(
    storm: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The diff is printed, and the file stays the same to the byte."""
    assert main(["tune", "--storm", str(storm), "--config", str(config), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert '-policy = "plain"' in printed
    assert '+policy = "grid"' in printed
    assert config.read_text() == CONFIG


def test_without_a_terminal_nothing_is_written_unasked(
    storm: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal only --yes writes."""
    assert main(["tune", "--storm", str(storm), "--config", str(config)]) == 0
    assert "--yes" in capsys.readouterr().out
    assert config.read_text() == CONFIG


@pytest.mark.parametrize(("answer", "is_written"), [("y", True), ("", False), ("n", False)])
def test_at_a_terminal_the_user_is_asked(
    storm: Path, config: Path, monkeypatch: pytest.MonkeyPatch, answer: str, is_written: bool
) -> None:
    """Only the answer yes writes."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert main(["tune", "--storm", str(storm), "--config", str(config)]) == 0
    assert (config.read_text() != CONFIG) is is_written


def test_the_document_has_its_schema_and_units_in_its_names(
    storm: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The document has a kind, a version, and the unit in the name of every number."""
    document = tune(capsys, "--storm", storm, "--config", config, "--dry-run")
    assert (document["schema"], document["kind"]) == (2, "linqi-tune")
    assert {o["name"] for o in document["options"]} == {"safer", "balanced", "leaner"}
    assert document["chosen"] == "balanced"
    assert "per_person_day" in document["current"]["outcome"].pop("forced_sign_ins")
    units = "seconds share second factor noise95 mb ms request worker renewal needed load"
    for name in document["current"]["outcome"]:
        assert name.rpartition("_")[2] in units.split(), name
    json.dumps(document, allow_nan=False)


def test_a_log_decides_over_a_storm_and_the_storm_over_defaults(
    storm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log decides the traffic, the storm the servers, and without a file the settings."""
    log = tmp_path / "access.log"
    write_log(log)
    log_options = ("--log", log, "--log-format", "json", "--log-session", "sid")
    none = tmp_path / "none.toml"
    document = tune(capsys, "--storm", storm, *log_options, "--config", none, "--dry-run")
    assert document["sources"]["visitors"] == "access.log"
    assert document["sources"]["servers"] == "storm.json"
    assert document["current"]["plan"]["policy"] == "plain"
    forced = document["current"]["outcome"]["forced_sign_ins"]["per_person_day"]["value"]
    assert forced > 0.1
    assert not none.exists()


def test_polls_of_quiet_paths_do_not_change_the_sign_ins(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --quiet-path and [paths] quiet the figure is that of a log without the polls."""
    log, polled = tmp_path / "access.log", tmp_path / "polled.log"
    write_log(log)
    lines = log.read_text().splitlines()
    first, last = json.loads(lines[0])["time"], json.loads(lines[-1])["time"]
    polls = [
        json.dumps({"time": at + 0.5, "sid": "SID0", "status": 200, "path": f"/{kind}?x"})
        for at in range(int(first), int(last) - 1, 30)
        for kind in ("polls", "events")
    ]
    lines = sorted(
        (line for line in [*lines, *polls] if line.startswith("{")),
        key=lambda line: json.loads(line)["time"],
    )
    polled.write_text("\n".join(lines) + "\n")
    config.write_text(f'{CONFIG}\n[paths]\nquiet = ["/events"]\n')
    common = ("--log-format", "json", "--log-session", "sid", "--config", config, "--dry-run")
    without = tune(capsys, "--log", log, *common)
    told = tune(capsys, "--log", polled, "--quiet-path", "/polls", *common)
    forced = [
        document["current"]["outcome"]["forced_sign_ins"]["per_person_day"]["value"]
        for document in (without, told)
    ]
    assert forced[0] == pytest.approx(forced[1])
    assert f"{len(polls):,} requests to quiet paths" in " ".join(told["notes"])


def test_contradictions_fail_only_where_that_is_asked(
    storm: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --check the exit code is 1, and each contradiction names a target to relax."""
    arguments = ["tune", "--storm", str(storm), "--config", str(config), "--dry-run"]
    arguments += ["--max-lifetime-seconds", "900", "--max-sign-ins-per-day"]
    assert main([*arguments, "0.001"]) == 0
    capsys.readouterr()
    assert main([*arguments, "0.001", "--check"]) == 1
    printed = capsys.readouterr().out
    assert "smallest change: --max-" in printed
    assert "at most 0.001 are wanted" in " ".join(printed.split())
    assert main([*arguments, "9", "--check"]) == 0


def test_the_weekly_job_fails_where_the_settings_in_force_are_surely_worse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --dry-run --check; what the last week says decides, and a target says what is enough."""
    lags = tmp_path / "metrics.txt"
    lags.write_text(
        "".join(
            f'linqi_renewal_lag_seconds_bucket{{le="{bound}"}} {count}\n'
            for bound, count in (("60", 60_000), ("300", 99_900), ("+Inf", 100_000))
        )
        + "linqi_expired_presented_total 40000\n"
    )
    config = tmp_path / "linqi.toml"
    arguments = ["tune", "--metrics", str(lags), "--config", str(config), "--dry-run", "--check"]
    arguments += ["--max-lifetime-seconds", "900"]
    config.write_text("[renewal]\nlifetime_seconds = 900\nbuffer_seconds = 60\n")
    assert main(arguments) == 1
    assert "surely force more sign-ins than they should" in capsys.readouterr().out
    assert main([*arguments, "--max-sign-ins-per-day", "20"]) == 0
    config.write_text("[renewal]\nlifetime_seconds = 900\nbuffer_seconds = 300\n")
    assert main(arguments) == 0


def test_the_page_fetches_nothing_and_marks_the_chosen_point(
    storm: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page is one file with the recommendations and four curves."""
    page = tmp_path / "tune.html"
    arguments = ["--storm", str(storm), "--config", str(config), "--html", str(page)]
    assert main(["tune", "--dry-run", *arguments]) == 0
    html = page.read_text()
    assert "forced sign-ins per person and day" in html
    for absent in ("<script", "http://", "https://", "url("):
        assert absent not in html
    charts = html.split("<svg")[1:]
    assert len(charts) == 2 * 4  # each for wide and for narrow pages
    for chart in charts:
        ElementTree.fromstring("<svg" + chart.split("</svg>")[0] + "</svg>")  # noqa: S314 - ours
    assert html.count("chosen: ") >= 2
    assert "renewal.buffer_seconds" in html


def test_a_wrong_call_is_one_line(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong argument or file leads to exit code 2 and one line."""
    log = tmp_path / "a.log"
    log.write_text("x\n")
    for arguments in (
        ["--log", str(log)],
        ["--log", str(tmp_path / "no.log"), "--log-session", "user"],
        ["--storm", str(config)],
        ["--storm", str(VOID)],
        ["--metrics", str(log)],
    ):
        assert main(["tune", "--dry-run", "--config", str(config), *arguments]) == 2
        assert capsys.readouterr().err.startswith("linqi: ")


def test_the_written_file_has_whole_numbers(
    storm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole numbers stay integers, and a missing file is created."""
    path = tmp_path / "new.toml"
    tune(capsys, "--storm", storm, "--config", path, "--yes")
    raw = tomllib.loads(path.read_text())
    assert isinstance(raw["renewal"]["buffer_seconds"], int)
    assert isinstance(raw["cache"]["max_entries"], int)


def test_a_file_that_cannot_be_written_is_reported_before_any_storm(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names both files; a dry run does not write the settings."""
    nowhere = tmp_path / "none"
    arguments = ["tune", "--prove", "--html", str(nowhere / "x.html")]
    assert main([*arguments, "--yes", "--config", str(nowhere / "linqi.toml")]) == 2
    told = capsys.readouterr().err
    assert "x.html" in told
    assert "linqi.toml" in told
    assert main([*arguments, "--config", str(config), "--dry-run"]) == 2
    assert "linqi.toml" not in capsys.readouterr().err


def test_a_storm_of_another_version_is_refused(
    storm: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error is one line with the version."""
    told = json.loads(storm.read_bytes())
    storm.write_text(json.dumps(told | {"schema": 2}))
    assert main(["tune", "--dry-run", "--config", str(config), "--storm", str(storm)]) == 2
    assert "schema 2" in capsys.readouterr().err


def test_the_removed_target_says_what_replaces_it(capsys: pytest.CaptureFixture[str]) -> None:
    """``--max-lost`` ends the command with the name of the new target."""
    with pytest.raises(SystemExit):
        main(["tune", "--max-lost", "0.01"])
    assert "use --max-sign-ins-per-day" in capsys.readouterr().err
