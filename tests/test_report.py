"""The report of a storm: its content, its safety, and that it opens offline."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import msgspec
import pytest
from playwright.async_api import Browser
from rich.console import Console

from chrome import Watch, misplaced
from linqi_storm.apps.sampler import ServerSample
from linqi_storm.clients.load_counts import LoadRecorder, LoadTotals
from linqi_storm.report.advice import next_steps, outcome_sentence
from linqi_storm.report.comparison import changes, differences
from linqi_storm.report.headline import headline, late_sentence
from linqi_storm.report.junit import write_junit
from linqi_storm.report.page import render_report, write_report
from linqi_storm.report.remedies import REMEDIES
from linqi_storm.report.sparklines import sparkline, timeline_rows
from linqi_storm.report.verdict import EXIT_CODES, show_verdict
from linqi_storm.run.invariants import every_invariant
from linqi_storm.run.timeline import timeline_of
from linqi_storm.schema.figures import cpu_per_request_us, hit_ratio, lost_sessions
from linqi_storm.schema.result_file import load_run
from linqi_storm.schema.results import (
    Check,
    CheckKind,
    Generator,
    Histogram,
    Lags,
    Latencies,
    RequirementCheck,
    Spectrum,
    StormRun,
    Traffic,
    Window,
)

STORMS = Path(__file__).parent / "storms"
HEADINGS = (
    *("Renewals", "Requests", "Latency", "Responses", "Signatures", "Renewal lag", "Servers"),
    *("Percentiles", "Load generator", "Configuration"),
)
EVIL = "</style></svg><script>alert(1)</script><img src=x onerror=alert(2)>\" onload='x' &amp;"


class Texts(HTMLParser):
    """Collects the headings, the cells of every table, and every tag."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.headings: list[str] = []
        self._in: str = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record a tag, and begin a row, a cell or a heading."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "h2":
            self.headings.append("")
        if tag in ("td", "th", "h2"):
            self._in = tag

    def handle_endtag(self, tag: str) -> None:
        """End a cell or a heading."""
        if tag == self._in:
            self._in = ""

    def handle_data(self, data: str) -> None:
        """Add text to what is open."""
        if self._in == "h2":
            self.headings[-1] += data
        elif self._in:
            self.rows[-1][-1] += data

    def row(self, first: str) -> list[str]:
        """Return the cells after the first one, of the row that begins with `first`."""
        return next(row[1:] for row in self.rows if row and row[0] == first)


def full() -> StormRun:
    """Return a valid run with every figure, store calls and a budget included."""
    run = load_run(STORMS / "plain.json")
    seconds = tuple(replace(s, store_calls=3, budget_queue=2) for s in run.timeline)
    return replace(run, timeline=seconds)


def nearly_empty() -> StormRun:
    """Return a run without any request."""
    run = load_run(STORMS / "grid.json")
    none = Spectrum(count=0, mean_ms=0, max_ms=0, percentiles=(), values_ms=(), hdr="")
    return replace(
        run,
        timeline=(),
        windows=(),
        peaks=(),
        rates=None,
        workers=(),
        latencies=Latencies(service=none, intended=none),
        inside=None,
        outside=None,
        lags=Lags(lags=Histogram()),
        traffic=Traffic(gaps=Histogram(), parallel=Histogram(), pages=0, requests=0),
        checks=(),
        notes=(),
        generator=Generator(
            lag_p50_ms=0, lag_p99_ms=0, lag_max_ms=0, cpu_p95=0, is_valid=False, faults=("none",)
        ),
    )


def hostile() -> StormRun:
    """Return a run in which every text and every key of a mapping contains markup."""

    def spoil(value: Any) -> Any:
        if isinstance(value, str):
            return EVIL
        if isinstance(value, dict):
            return {key if key in FIELDS else EVIL: spoil(one) for key, one in value.items()}
        return [spoil(one) for one in value] if isinstance(value, list) else value

    plain = msgspec.to_builtins(full())
    return msgspec.convert(spoil(plain), StormRun)


def _names(value: Any) -> set[str]:
    if isinstance(value, dict):
        found = set(value)
        for key, one in value.items():
            if key not in ("outcomes", "hostile", "options", "machine", "versions"):
                found |= _names(one)
        return found
    return set().union(*map(_names, value)) if isinstance(value, list) else set()


FIELDS = _names(msgspec.to_builtins(full()))
RUNS = {"full": full, "empty": nearly_empty, "hostile": hostile}


@pytest.mark.parametrize("name", RUNS)
def test_every_section_is_there_in_its_order(name: str) -> None:
    """A run without figures has the same sections; each says why it is empty."""
    assert tuple(Texts(render_report(RUNS[name]())).headings) == HEADINGS
    compared = Texts(render_report(RUNS[name](), full())).headings
    assert compared[0] == "Comparison with the earlier run"


def test_a_full_run_draws_every_chart_and_an_empty_one_none() -> None:
    """Known figures are drawn, and only those."""
    html = render_report(full())
    assert html.count('<svg class="chart full"') == html.count('<svg class="chart narrow"') == 17
    for caption in ("Renewals", "Event-loop lag", "Store round trips", "deferred by the budget"):
        assert caption in html
    assert "<svg" not in render_report(nearly_empty())


@pytest.mark.parametrize("name", RUNS)
def test_nothing_is_fetched_and_nothing_runs(name: str) -> None:
    """No script, no address, no import: the file opens offline and can do nothing."""
    html = render_report(RUNS[name](), hostile())
    seen = Texts(html)
    assert not seen.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert not {one for one in seen.attributes if one.startswith("on")} | seen.attributes & {"src"}
    style = html[html.index("<style>") : html.index("</style>")]
    assert not re.search(r"https?:|url\(|@import", style)
    assert not re.search(r'href="[^#]', html)


def test_hostile_names_are_text() -> None:
    """The name of an application cannot become an element (Locust, CVE-2020-28364)."""
    html = render_report(hostile(), hostile())
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html
    assert html.count("</style>") == 1


def test_the_tables_show_the_figures_of_the_json() -> None:
    """The report shows the same figures that the tuner reads in the file."""
    run = full()
    seen = Texts(render_report(run))
    for check in run.checks:
        row = seen.row(check.name)
        limit = "" if check.limit is None else f"at most {check.limit:g}"
        verdict = "shown" if check.limit is None else "ok" if check.passed else "BROKEN"
        assert row[:3] == [limit, f"{check.seen:g}", verdict]
    peak = run.peaks[0]
    assert seen.row("first cycle")[-2:] == [f"{peak.factor:.2f}", f"{peak.noise95:.2f}"]
    assert seen.row("all requests, since due")[0] == str(run.latencies.intended.count)
    assert seen.row("all requests, since due")[4] == f"{run.latencies.intended.at(99):.2f}"
    assert run.inside is not None
    assert seen.row("inside the windows, since sent")[4] == f"{run.inside.service.at(99):.2f}"
    assert seen.row("distinct renewals") == [str(run.sessions.renewals)]
    assert seen.row("seed") == [str(run.setup.load.seed)]
    assert seen.row("compression factor k") == ["60"]
    assert seen.row("delay of requests, p99")[1] == f"{run.generator.lag_p99_ms:.2f} ms"
    assert seen.row("locust") == [run.setup.versions["locust"]]


def wanted(name: str, *, passed: bool, kind: CheckKind = "load") -> RequirementCheck:
    """Return the outcome of a requirement."""
    return RequirementCheck(
        name=name, figure="x", kind=kind, expected="<= 1", seen=2.5, passed=passed
    )


def test_the_strip_says_what_passed_and_what_did_not() -> None:
    """The headline counts invariants and requirements, and names those that did not hold."""
    run = full()
    judged = [check for check in run.checks if check.limit is not None]
    broken = [replace(check, seen=1, passed=False) for check in judged[:3]]
    passed = replace(run, checks=tuple(replace(c, passed=True) for c in run.checks))
    failed = replace(run, checks=(*broken, *run.checks[3:]))
    naive = replace(
        passed,
        setup=replace(run.setup, target=replace(run.setup.target, mode="naive")),
    )
    required = (wanted("a <= 1", passed=True), wanted("b <= 1", passed=False))
    names = "; ".join(f"{check.name} (1)" for check in broken)
    held = f"PASS: {len(judged)} invariants"
    peak = f"{run.peaks[0].factor:.1f}"
    for shown, word in (
        (passed, f"{held} held; the storm factor of {peak} has no limit</div>"),
        (
            replace(passed, requirements=(wanted("storm_factor <= 9", passed=True),)),
            f"{held} and 1 requirement held</div>",
        ),
        (
            replace(passed, peaks=tuple(replace(peak, factor=1.2) for peak in run.peaks)),
            f"{held} held</div>",
        ),
        (replace(passed, requirements=required[:1]), f"{held} and 1 requirement held"),
        (
            replace(passed, generator=replace(run.generator, late_seconds=(3, 4))),
            f"{held} held; latencies without 2 late seconds",
        ),
        (failed, f"FAIL: 3 of {len(judged)} invariants did not hold: {names}"),
        (
            replace(passed, requirements=required),
            "FAIL: 1 of 2 requirements did not hold: b &lt;= 1 (2.5)",
        ),
        (naive, "FOR COMPARISON ONLY: no limits apply"),
        (replace(naive, requirements=required), "FAIL: 1 of 2 requirements did not hold: b &lt;"),
    ):
        assert f'<div class="word">{word}' in render_report(shown)


@pytest.mark.parametrize("name", ["grid", "dual"])
def test_lost_renewals_are_those_that_were_lost(name: str) -> None:
    """A first token may be renewed later than a buffer after it was due, and is then not lost."""
    run = load_run(STORMS / f"{name}.json")
    counts = run.sessions
    lags = run.lags.lags
    assert lags.share_above(run.setup.load.buffer_seconds) > counts.lapsed / counts.cycles
    html = render_report(run)
    rows = {row[0]: row[1] for row in Texts(html).rows if len(row) == 2}
    share = f"{counts.lapsed / counts.cycles:.2%}"
    assert rows["expired without a request in the buffer"] == (
        f"{counts.lapsed} ({share} of the tokens)"
    )
    assert not [what for what in rows if what.startswith("renewals lost")]


def test_a_void_run_is_neither_green_nor_red() -> None:
    """No rate or latency of a void run is coloured as passed or failed."""
    void = load_run(STORMS / "void.json")
    html = render_report(void)
    assert not re.search(r'class="card (ok|warn|bad)"', html)
    kinds = {check.name: check.kind for check in void.checks if check.limit is not None}
    rows = [row for row in Texts(html).rows if row[0] in kinds and len(row) == 5]
    assert {(kinds[row[0]], row[3]) for row in rows} == {("load", "void"), ("safety", "ok")}
    assert "latencies, rates, the storm factor" in outcome_sentence(void)


def test_a_void_run_says_which_counts_are_valid(tmp_path: Path) -> None:
    """The terminal, JUnit and the page judge what a late generator cannot change, and no more."""
    void = load_run(STORMS / "void.json")
    kinds: tuple[CheckKind, ...] = ("safety", "load")
    checks = tuple(
        Check(name=f"{kind} rule", kind=kind, limit=0, seen=1, passed=False) for kind in kinds
    )
    required = (
        wanted("forged <= 1", passed=True, kind="safety"),
        wanted("p99 <= 1", passed=False),
    )
    failed = replace(void, checks=checks, requirements=required)
    held = replace(failed, checks=(replace(checks[0], seen=0, passed=True), checks[1]))
    assert headline(failed) == (
        "FAIL: 1 of 1 invariant did not hold: safety rule (1); rates and latencies are void"
    )
    assert headline(held) == (
        "VOID: the load generator was late; 1 invariant and 1 requirement held, 2 cannot be judged"
    )
    assert [EXIT_CODES[run.verdict] for run in (failed, held)] == [1, 3]
    assert "(p99 <= 1; load rule)" in late_sentence(held)
    assert "find the cause of 'safety rule'" in next_steps(failed)[0].lower()
    rows = {row[0]: row[3] for row in Texts(render_report(failed)).rows if len(row) == 5}
    assert rows["safety rule"] == "BROKEN"
    assert rows["load rule"] == rows["p99 <= 1"] == "void"
    assert rows["forged <= 1"] == "ok"
    write_junit([failed], tmp_path / "storm.xml")
    suite = next(Xml.parse(tmp_path / "storm.xml").iter("testsuite"))  # noqa: S314
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("1", "1", "2")
    inside = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}
    assert inside["safety rule"] == ["failure"]
    assert inside["load rule"] == inside["p99 <= 1"] == ["skipped"]
    assert inside["forged <= 1"] == []
    assert suite.findtext("system-out") == headline(failed)
    shown = StringIO()
    show_verdict(Console(file=shown, width=200), failed)
    assert headline(failed) in shown.getvalue()


def test_every_invariant_has_a_remedy() -> None:
    """The report has a recommended step for every invariant that can break."""
    names = {check.name for check in every_invariant()}
    assert names == set(REMEDIES)


def test_the_sentence_tells_a_storm_from_chance() -> None:
    """A factor below the level of chance is no storm."""
    run = full()
    peak = run.peaks[0]
    assert (
        f"{peak.factor:.1f} times the lowest possible rate, a storm (chance alone reaches"
        f" {peak.noise95:.1f})" in outcome_sentence(run)
    )
    assert any('policy = "grid"' in step for step in next_steps(run))
    calm = replace(run, peaks=tuple(replace(peak, factor=2.0) for peak in run.peaks))
    assert "no storm" in outcome_sentence(calm)
    assert not any("grid" in step for step in next_steps(calm))
    grid = replace(run.setup.target, policy="grid")
    again = replace(run, setup=replace(run.setup, target=grid))
    assert any("[budget] to 30/s" in step for step in next_steps(again))


def test_lost_sessions_are_counted_with_their_cause() -> None:
    """Forced logouts are distinguished from sessions that the buffer lost."""
    run = full()
    assert lost_sessions(run) == 3
    assert "no forced logout, and 3 sessions expired without a request" in outcome_sentence(run)
    forced = replace(run, sessions=replace(run.sessions, forced_out=1))
    assert "forced logouts of 1 session" in outcome_sentence(forced)
    assert lost_sessions(forced) == 4


def test_a_run_beside_itself_has_not_changed() -> None:
    """Equal figures are neither better nor worse."""
    run = full()
    assert {change.verdict for change in changes(run, run)} == {"as before"}
    assert differences(run, run) == ()


def test_a_change_counts_only_beyond_noise() -> None:
    """The storm factor of plain is worse than that of grid; a 10 % slower p99 is not a change."""
    plain, grid = full(), load_run(STORMS / "grid.json")
    by_name = {change.figure.name: change for change in changes(grid, plain)}
    assert by_name["storm_factor"].verdict == "worse"
    assert by_name["storm_factor"].now == plain.peaks[0].factor
    assert by_name["storm_factor"].before == grid.peaks[0].factor
    assert ("policy", "grid", "plain") in differences(grid, plain)
    assert plain.inside is not None
    slower = replace(
        plain.inside.intended,
        values_ms=tuple(value * 1.1 for value in plain.inside.intended.values_ms),
    )
    again = replace(plain, inside=replace(plain.inside, intended=slower))
    changed = {change.figure.name: change for change in changes(plain, again)}
    assert changed["p99_in_ms"].verdict == "as before"


def test_the_costs_are_those_of_the_timeline() -> None:
    """CPU per request and the hit ratio are sums over the seconds, by hand the same."""
    run = full()
    used = sum(sum(second.cpu) for second in run.timeline)
    asked = sum(s.requests + sum(s.hostile.values()) for s in run.timeline)
    assert cpu_per_request_us(run) == pytest.approx(1e6 * used / asked)
    hits, looked = hit_ratio(run)
    assert (hits, looked - hits) == (
        sum(s.cache_hits or 0 for s in run.timeline),
        sum(s.cache_misses or 0 for s in run.timeline),
    )
    assert cpu_per_request_us(nearly_empty()) is None


def test_a_timeline_of_the_terminal_never_hides_its_peak() -> None:
    """At every width the highest second is the highest character."""
    values = [0.0] * 300
    values[137] = 50.0
    line = sparkline(values, 40)
    assert len(line) == 40
    assert line[137 * 40 // 300] == "█"
    assert sparkline([None, 1.0, None], 3) == " █ "
    assert sparkline([], 10) == ""
    assert sparkline([0.0, 1.0], 2, is_ascii=True).isascii()


def test_the_timeline_marks_the_window() -> None:
    """The last row marks the seconds inside the windows."""
    rows = list(timeline_rows(full(), 80))
    assert rows[-1].rstrip() == f"{'':<12}{' ' * 10}{'~' * 5}{' ' * 5}  expiry"
    assert all(len(row) <= 80 for row in rows)
    assert list(timeline_rows(nearly_empty(), 80)) == []


def test_windows_without_a_second_do_not_break_the_report() -> None:
    """A window beyond the last second is drawn at the edge, not outside the chart."""
    run = replace(full(), windows=(Window(label="late", begins=500, ends=600),))
    assert "late" in render_report(run)


def test_two_samples_of_one_second_both_count() -> None:
    """Signatures of a worker with a late timer are not lost in the timeline."""
    totals = LoadTotals()
    recorder = LoadRecorder()
    recorder.record(3.5, "ok", 0.001, 0.001)
    totals.merge(recorder.delta())
    usual = ServerSample(
        at=1004.0,
        pid=7,
        cpu=0.5,
        loop_lag_ms=3,
        memory_mb=50,
        renewals=2,
        signatures=2,
        signed_twice=0,
        failed=0,
        budget_queue=1,
        families_killed=0,
        cache_hits=9,
        cache_misses=1,
        store_calls=4,
    )
    late = replace(usual, at=1004.3, cpu=0.1, loop_lag_ms=9, memory_mb=51, budget_queue=0)
    (second,) = timeline_of(totals, [usual, late], 1000.0, [7])
    assert (second.signatures, second.cache_hits, second.store_calls) == (4, 18, 8)
    assert (second.cpu, second.loop_lag_ms, second.memory_mb) == ((0.5,), (9,), (51,))
    assert second.budget_queue == 0


# In a real browser


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1000, 360])
async def test_it_opens_without_a_fault_and_never_scrolls_sideways(
    browser: Browser, tmp_path: Path, scheme: Any, width: int
) -> None:
    """At a desk and on a phone, by day and by night, hostile names included."""
    context = await browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 800}, offline=True
    )
    watch, page = Watch(context), await context.new_page()
    for name, make in RUNS.items():
        path = tmp_path / f"{name}.html"
        write_report(make(), path, full())
        await page.goto(path.as_uri())
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, name
        background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    assert watch.faults == []
    assert all(url.startswith("file:") for url in watch.urls)
    assert len(watch.urls) == len(RUNS)
    await context.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("width", [400, 1200])
async def test_a_phone_shows_the_whole_window_and_every_column(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    """At 400 pixels no chart, window, text or cell is outside the page, none is too small."""
    context = await browser.new_context(viewport={"width": width, "height": 800})
    page = await context.new_page()
    path = tmp_path / "storm.html"
    write_report(replace(full(), requirements=(wanted("a <= 1", passed=False),)), path, full())
    await page.goto(path.as_uri())
    outside, small, hidden, shown = await misplaced(
        page, width, "svg, svg .span, svg text, td, .word, .card"
    )
    assert (outside, small, hidden) == (0, 0, 0)
    assert shown > 300
    windows = await page.evaluate(
        "[...document.querySelectorAll('svg .span')]"
        ".filter((each) => each.getBoundingClientRect().width > 20).length"
    )
    assert windows >= 10
    await context.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_it_prints_dark_on_light(browser: Browser, tmp_path: Path) -> None:
    """On paper the scheme of the screen does not count, and every chart is there."""
    context = await browser.new_context(color_scheme="dark")
    page = await context.new_page()
    path = tmp_path / "storm.html"
    write_report(full(), path)
    await page.goto(path.as_uri())
    await page.emulate_media(media="print")
    assert await page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert await page.evaluate(
        "[...document.querySelectorAll('svg.full')]"
        ".every((each) => each.getBoundingClientRect().width)"
    )
    assert (await page.pdf()).startswith(b"%PDF")
    await context.close()
