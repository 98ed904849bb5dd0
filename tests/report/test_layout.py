"""The page in a browser: at both widths nothing is cut, and everything has its place."""

import pytest

from tests.report.browsing import opened

WIDTHS = (1200, 420)

# Everything that reaches past what holds it: [what, how far in pixels].
CUT = """
const found = [];
const page = document.documentElement;
if (page.scrollWidth > innerWidth) found.push(["page", page.scrollWidth - innerWidth]);
for (const box of document.querySelectorAll(".scroll")) {
  const more = box.scrollWidth - box.clientWidth;
  if (more > 0) found.push([box.getAttribute("aria-label"), more]);
}
const parts = "img, table, td, th, figcaption, p, li, .badge, .chart svg";
for (const part of document.querySelectorAll(parts)) {
  const more = Math.max(part.getBoundingClientRect().right - innerWidth,
                        -part.getBoundingClientRect().left);
  if (part.checkVisibility() && more > 0.5) found.push([part.outerHTML.slice(0, 80), more]);
}
return found;
"""
# Tables and figures outside a box that scrolls, should one not fit after all.
BARE = """
return [...document.querySelectorAll("table, figure img")]
  .filter((part) => !part.closest(".scroll")
    || getComputedStyle(part.closest(".scroll")).overflowX !== "auto")
  .map((part) => part.outerHTML.slice(0, 80));
"""
# Values that cover their headings, or cells that cover one another, in pixels of text.
COVERED = """
const rects = [];
for (const row of document.querySelectorAll("tr")) {
  if (!row.checkVisibility()) continue;
  const cells = [...row.children].map((cell) => cell.getBoundingClientRect());
  for (const [i, a] of cells.entries()) for (const b of cells.slice(i + 1)) {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 0.5 && high > 0.5) rects.push(row.textContent.slice(0, 80));
  }
}
return rects;
"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["written", "written_pair"])
def test_nothing_is_cut_and_no_cell_covers_another(browser, request, name, width):
    run = opened(browser, request.getfixturevalue(name)[1] / "report.html", width)
    assert run("return document.querySelectorAll('table').length;") >= 3
    assert run("return document.querySelectorAll('figure img').length;") >= 1
    assert run(CUT) == []
    assert run(BARE) == []
    assert run(COVERED) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_every_cell_says_what_it_is_where_headings_have_no_row(browser, written, width):
    run = opened(browser, written[1] / "report.html", width)
    headings = run(
        "return [...document.querySelectorAll('thead')].map((h) => h.checkVisibility());"
    )
    said = run(
        "return [...document.querySelectorAll('td')].map("
        "(cell) => getComputedStyle(cell, '::before').content);"
    )
    assert set(headings) == {width == 1200}
    if width == 1200:
        assert set(said) == {"none"}
    else:
        assert {'"AUC"', '"Images changed"', '"Verdict"'} <= set(said)


def test_a_figure_is_whole_on_a_narrow_screen_and_large_when_touched(browser, written):
    run = opened(browser, written[1] / "report.html", 420)
    box = "const box = document.querySelector('#figure-auc_gap .scroll');"
    wide = f"{box} return [box.querySelector('img').clientWidth, box.clientWidth, box.scrollWidth];"
    image, inside, all_of_it = run(wide)
    assert image == inside == all_of_it
    browser.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
    run(f"{box} box.focus();")
    image, inside, all_of_it = run(wide)
    assert image == all_of_it == 704 and inside < 420
    assert run("return document.documentElement.scrollWidth <= innerWidth;")
