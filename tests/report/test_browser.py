"""Pages in a real browser: nothing is logged, nothing is asked for, nothing scrolls sideways, text stays legible."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mmgan.report import write_report
from mmgan.runs.folder import RunFolder
from tests.support.browser import Browser, browser, find_browser
from tests.support.report_runs import classifier_entry, classifier_run, diagnosis, evaluation, gan_run, manifest

pytestmark = pytest.mark.slow(12)

LONG = "a-name-that-has-no-place-to-break-" * 6


SIZES = """[...document.querySelectorAll('svg.chart')].map(
    svg => 12 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width)"""
"""The height of the text of each figure, in CSS pixels."""

OUTSIDE = """[...document.querySelectorAll('svg.chart > text')].filter(text => {
    const a = text.getBoundingClientRect(), b = text.ownerSVGElement.getBoundingClientRect();
    return a.width && (a.left < b.left - 1 || a.right > b.right + 1)
}).map(text => text.textContent)"""
"""Words that leave their figure."""

OVER = """[...document.querySelectorAll('svg.chart')].flatMap(svg => {
    const all = [...svg.querySelectorAll(':scope > text')].filter(text => text.textContent)
        .map(text => [text.textContent, text.getBoundingClientRect()]);
    return all.flatMap(([name, a], i) => all.slice(i + 1).filter(([_, b]) =>
        a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4
    ).map(([other, _]) => name + ' / ' + other))
})"""
"""Words of a figure that lie on one another."""


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    if (program := find_browser()) is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with browser(program) as opened:
        yield opened


@pytest.fixture(scope="module", params=["gan", "classifier", "begun"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / request.param
    if request.param == "begun":
        return write_report(gan_run(path, done=0, data=LONG))
    if request.param == "gan":
        folder = gan_run(path, history=[manifest(30.0, step=200), manifest(20.0)], grids=(100, 400), data=LONG)
        for step in (200, 400):
            folder.note_diagnosis(diagnosis(step), b"")
        return write_report(folder)
    folder = classifier_run(path, last=classifier_entry(8.25))
    evaluation(folder)
    return write_report(RunFolder(path))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [400, 1280])
def test_a_page(tab: Browser, page: Path, width: int, dark: bool) -> None:
    tab.open(page, width, dark=dark)
    assert tab.complaints() == []
    assert [address for address in tab.requests() if not address.startswith("data:")] == [page.as_uri()]
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    assert tab.evaluate("document.scripts.length") == 0
    sizes = tab.evaluate(SIZES)
    assert sizes or page.parent.name == "begun"
    assert all(11 <= size <= 16 for size in sizes)
    paper, ink = (tab.evaluate(f"getComputedStyle(document.body).{what}") for what in ("backgroundColor", "color"))
    assert contrast(paper, ink) > 10
    assert (luminance(paper) < luminance(ink)) is dark
    colours = tab.evaluate("[...document.querySelectorAll('polyline')].map(one => getComputedStyle(one).stroke)")
    assert all(contrast(paper, colour) > 4.5 for colour in set(colours))


def test_no_words_of_a_figure_lie_outside_it_or_on_each_other(tab: Browser, page: Path) -> None:
    tab.open(page, 400)
    outside = tab.evaluate(OUTSIDE)
    assert outside == []
    over = tab.evaluate(OVER)
    assert over == []


def test_a_complaint_is_heard(tab: Browser, tmp_path: Path) -> None:
    """What the other tests find missing would be found."""
    bad = tmp_path / "bad.html"
    bad.write_text("<body style='width: 900px'><img src='absent.png'><script>nonsense()</script></body>")
    tab.open(bad, 400)
    assert len(tab.complaints()) >= 2
    assert len(tab.requests()) == 2
    assert tab.evaluate("document.documentElement.scrollWidth") > 400


def luminance(colour: str) -> float:
    """Relative luminance of rgb(r, g, b), from 0 to 1 (WCAG 2)."""
    channels = [float(part) / 255 for part in colour.partition("(")[2].rstrip(")").split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a: str, b: str) -> float:
    """The contrast of two colours, from 1 to 21 (WCAG 2)."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)
