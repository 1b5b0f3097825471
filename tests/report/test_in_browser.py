"""How a real browser shows the report: scripts off, no request, light, dark, phone, print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gan_augment.report.html import fragment, render
from tests.report import results
from tests.report.browser import CHROMIUM, Browser
from tests.report.test_html import HOSTILE

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to show pages"),
]
PHONE, DESKTOP = 375, 1280
PAPER = 688
"""px: A4 without the margins of the style sheet."""
VIEWPORT = '<!DOCTYPE html><meta name="viewport" content="width=device-width">'
PAGES = ("images", "table", "hostile", "many", "fragment")

# Of every text that is shown: its colour against all that is painted below it. Charts and marks are
# on the page's own background; `fill` is the colour of their text.
CONTRASTS = """
(() => {
  const parse = text => {
    const n = text.match(/-?[\\d.]+/g).map(Number);
    const scale = text.startsWith('color(') ? 255 : 1;
    return [n[0] * scale, n[1] * scale, n[2] * scale, n.length > 3 ? n[3] : 1];
  };
  const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3]));
  const light = c => {
    const [r, g, b] = c.slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = element => {
    const layers = [];
    for (let at = element; at; at = at.parentElement)
      layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const element = text.parentElement;
    if (!text.data.trim() || ['STYLE', 'title'].includes(element.tagName)) continue;
    const style = getComputedStyle(element), below = ground(element);
    const own = parse(element.tagName === 'text' ? style.fill : style.color);
    const [a, b] = [light(over(own, below)), light(below)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push([Math.round(ratio * 100) / 100, text.data.trim().slice(0, 40)]);
  }
  return found.sort((a, b) => a[0] - b[0]);
})()
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One process for all tests of this file."""
    found = Browser(tmp_path_factory.mktemp("chromium"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file for each of PAGES."""
    home = tmp_path_factory.mktemp("pages")
    shown = {
        "images": render(results.images(), results.timings()),
        "table": render(results.table(), results.timings()),
        "hostile": render(results.hostile(HOSTILE)),
        "many": render(results.many_classes(100)),
        "fragment": VIEWPORT + fragment(results.real("glass")),
    }
    for name, page in shown.items():
        (home / f"{name}.html").write_text(page, encoding="utf-8")
    return {name: home / f"{name}.html" for name in PAGES}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_for_nothing_and_reports_no_fault(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    browser.open(pages[name])
    asked = [one["request"]["url"] for one in browser.told("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith("data:")] == [pages[name].as_uri()]
    assert not browser.told("Log.entryAdded")
    assert not browser.told("Runtime.exceptionThrown")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_can_be_read_against_what_is_below_it(
    browser: Browser, pages: dict[str, Path], name: str, dark: bool
) -> None:
    browser.open(pages[name], dark=dark)
    found = browser.value(CONTRASTS)
    assert len(found) > 40
    assert not [pair for pair in found if pair[0] < 4.5]


def test_dark_is_dark_on_a_screen_and_paper_stays_white(
    browser: Browser, pages: dict[str, Path]
) -> None:
    background = "getComputedStyle(document.documentElement).backgroundColor"
    browser.open(pages["table"], dark=True)
    assert browser.value(background) == "rgb(18, 21, 26)"
    browser.open(pages["table"], dark=True, media="print")
    assert browser.value(background) == "rgb(255, 255, 255)"


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_a_page_is_as_wide_as_the_screen(
    browser: Browser, pages: dict[str, Path], name: str, width: int
) -> None:
    browser.open(pages[name], width=width)
    root = "document.documentElement"
    assert browser.value(f"{root}.scrollWidth <= {root}.clientWidth")
    assert browser.value(f"{root}.clientWidth") == width


@pytest.mark.parametrize("name", ["images", "table", "hostile"])
def test_nothing_is_cut_off_on_paper(browser: Browser, pages: dict[str, Path], name: str) -> None:
    browser.open(pages[name], width=PAPER, media="print")
    root = "document.documentElement"
    assert browser.value(f"{root}.scrollWidth <= {root}.clientWidth")


@pytest.mark.parametrize("name", ["images", "table", "many"])
def test_wide_tables_scroll_in_their_own_box_on_a_phone(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    browser.open(pages[name], width=PHONE)
    loose = "[...document.querySelectorAll('table')].filter(one => !one.closest('.wide')).length"
    assert browser.value(loose) == 0
    hidden = (
        "[...document.querySelectorAll('.wide')].filter(b => b.scrollWidth > b.clientWidth + 1)"
    )
    assert browser.value(f"{hidden}.length") > 0
    assert browser.value(f"{hidden}.every(b => getComputedStyle(b).overflowX === 'auto')")


def test_what_is_folded_away_is_printed(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["table"], media="print")
    folded = "[...document.querySelectorAll('details table')].map(one => one.offsetHeight)"
    assert min(browser.value(folded)) > 0
