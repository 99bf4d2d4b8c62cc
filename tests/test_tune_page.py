"""The page of ``linqi tune`` in real Chromium, at the width of a phone and of a desk."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from chrome import browsing, misplaced
from linqi_tune.evidence.sources import Evidence
from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.histories import Histories
from linqi_tune.model.measurements import CurrentSettings, Measurements, Targets, Visitors
from linqi_tune.model.options import advise
from linqi_tune.report.page import tuning_page

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Start one browser for all tests of this module."""
    async with browsing() as started:
        yield started


@pytest.fixture(scope="module")
def page_text() -> str:
    """Return a page with every section: refresh tokens, contradictions, curves and notes."""
    pages = [
        array(
            "d", [day * 86_400.0 + n * 50 + (n > 40) * 5_000 for day in range(4) for n in range(80)]
        )
        for _ in range(40)
    ]
    measurements = Measurements(
        visitors=Visitors(groups=[GapDistribution([50.0] * 99 + [5_000.0])], sessions=400),
        histories=Histories(pages=pages, seconds=4 * 86_400.0, persons=40),
        current=CurrentSettings(buffer=60, policy="plain"),
        targets=Targets(max_sign_ins=0.1, memory_mb=0.05),
    )
    evidence = Evidence(measurements=measurements, config=None, storm=None, remarks=("A log.",))
    return tuning_page(advise(measurements), evidence, "balanced")


@pytest.mark.parametrize("width", [400, 1200])
async def test_a_phone_shows_every_setting_option_and_curve(
    browser: Browser, tmp_path: Path, page_text: str, width: int
) -> None:
    """No chart, text or cell is outside the page, none is hidden, and no text is too small."""
    path = tmp_path / "tune.html"
    path.write_text(page_text, "utf-8")
    page = await browser.new_page(viewport={"width": width, "height": 800})
    await page.goto(path.as_uri())
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    outside, small, hidden, shown = await misplaced(
        page, width, "svg, svg text, td, th, dt, dd, li"
    )
    assert (outside, small, hidden) == (0, 0, 0)
    assert shown > 200
    for text in ("refresh tokens", "forced sign-ins per person and day", "--memory-mb"):
        assert await page.get_by_text(text).count()
    await page.close()
