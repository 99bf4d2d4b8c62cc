"""What a storm leaves for other tools: CSV, Markdown, tags."""

import csv
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as Xml

from linqi_storm.report.junit import write_junit
from linqi_storm.report.markdown import write_markdown
from linqi_storm.report.seconds_csv import COLUMNS, write_csv
from linqi_storm.schema.results import Check, RequirementCheck, StormRun
from test_storm_results import a_run


def a_failed_run() -> StormRun:
    """Return a run that broke an invariant and a requirement."""
    run = a_run()
    setup = replace(run.setup, tags={"branch": "fix_<b>_@team", "pr": "7"})
    broken = Check(name="expired tokens accepted", kind="safety", limit=0, seen=3, passed=False)
    required = RequirementCheck(
        name="p99_ms <= 20",
        figure="p99_ms",
        kind="load",
        expected="at most 20 ms",
        seen=31.2,
        unit="ms",
        passed=False,
    )
    notes = ("session 3: accepted | late\n# a headline <script>",)
    return replace(
        run, setup=setup, checks=(*run.checks, broken), requirements=(required,), notes=notes
    )


def test_csv_has_a_line_a_second_with_units_in_its_columns(tmp_path: Path) -> None:
    """What was not measured is empty, not 0."""
    write_csv(a_run(), tmp_path / "run.csv")
    with (tmp_path / "run.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert list(line) == list(COLUMNS)
    assert (line["second"], line["requests"], line["ok"]) == ("0", "4", "4")
    assert line["signatures"] == line["service_p99_ms"] == line["worker_cpu_cores"] == ""


def test_columns_of_csv_stay_where_they_are() -> None:
    """Tools name columns by place: new ones come last."""
    assert list(COLUMNS)[:3] == ["second", "requests", "ok"]
    assert list(COLUMNS)[-5:] == [
        *("signatures", "cache_hits", "cache_misses", "store_calls", "budget_queue")
    ]
    assert len(COLUMNS) == 35


def test_markdown_names_what_was_broken(tmp_path: Path) -> None:
    """The verdict comes first; broken rules have their limits and what was measured."""
    write_markdown(a_failed_run(), tmp_path / "run.md")
    text = (tmp_path / "run.md").read_text()
    assert text.startswith("### ❌ linqi storm: FAIL: 1 of 2 invariants and 1 of 1 requirement")
    assert "| expired tokens accepted | at most 0 | 3 |" in text
    assert "31.2 ms | BROKEN |" in text


def test_nothing_in_markdown_is_markup_of_its_sources(tmp_path: Path) -> None:
    """Tags and notes add no cell, headline, mention or HTML to a comment."""
    write_markdown(a_failed_run(), tmp_path / "run.md")
    text = (tmp_path / "run.md").read_text()
    assert "<b>" not in text
    assert "<script>" not in text
    assert r"\@team" in text
    assert r"accepted \| late \# a headline" in text


def test_markdown_shows_the_comparison(tmp_path: Path) -> None:
    """The figures of both runs are beside each other, and settings that differ are named."""
    before = a_run()
    other = replace(before, setup=replace(before.setup, generators=2))
    write_markdown(other, tmp_path / "run.md", before)
    text = (tmp_path / "run.md").read_text()
    assert "| Figure | Before | Now | Change beyond noise |" in text
    assert "| p99\\_ms | 4 ms | 4 ms | as before |" in text
    assert "generators: 1, now 2" in text


def test_tags_are_properties_of_the_junit_suite(tmp_path: Path) -> None:
    """Each tag is a property by its name."""
    write_junit([a_failed_run()], tmp_path / "run.xml")
    found = Xml.parse(tmp_path / "run.xml").iter("property")  # noqa: S314
    assert [(one.get("name"), one.get("value")) for one in found] == [
        ("branch", "fix_<b>_@team"),
        ("pr", "7"),
    ]
