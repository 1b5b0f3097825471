"""The report in a browser: every text is readable in light and dark, and pages fit the screen."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gan_augment.report.html import fragment, render
from tests.report import results

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.campaign,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
PAGES = ("images", "table", "hostile", "many", "fragment")

# The contrast of every text with the backgrounds below it, and the widths of the page.
MEASURE = """
const parse = text => {
  const n = text.match(/-?[\\d.]+/g).map(Number), scale = text.startsWith('color(') ? 255 : 1;
  return [n[0] * scale, n[1] * scale, n[2] * scale, n.length > 3 ? n[3] : 1];
};
const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3]));
const light = c => {
  const [r, g, b] = c.map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = element => {
  const layers = [];
  for (let at = element; at; at = at.parentElement)
    layers.push(parse(getComputedStyle(at).backgroundColor));
  return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
};
onload = () => {
  const page = document.querySelector('iframe').contentDocument, ratios = [];
  const texts = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const element = text.parentElement;
    if (!text.data.trim() || ['STYLE', 'title'].includes(element.tagName)) continue;
    const style = getComputedStyle(element), below = ground(element);
    const own = over(parse(element.tagName === 'text' ? style.fill : style.color), below);
    const [a, b] = [light(own), light(below)];
    ratios.push((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  const root = page.documentElement;
  document.title = JSON.stringify(
    {texts: ratios.length, lowest: Math.min(...ratios), wide: root.scrollWidth});
};
"""


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The HTML of each of PAGES."""
    return {
        "images": render(results.images(), results.timings()),
        "table": render(results.table(), results.timings()),
        "hostile": render(results.hostile(results.HOSTILE)),
        "many": render(results.many_classes(100)),
        "fragment": f"<!DOCTYPE html>{fragment(results.real('glass'))}",
    }


def measured(page: str, folder: Path, width_px: int, *, dark: bool = False) -> dict[str, Any]:
    """Show a page in a frame of this width and measure it by a script outside the frame."""
    assert CHROMIUM is not None
    frame = f'<iframe width="{width_px}" height="900" srcdoc="{html.escape(page)}"></iframe>'
    (folder / "host.html").write_text(f"<script>{MEASURE}</script>{frame}", encoding="utf-8")
    line = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"]
    line += ["--dump-dom", f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    line.append((folder / "host.html").as_uri())
    dom = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60).stdout
    title = re.search(r"<title>({.*?})</title>", dom)
    assert title is not None
    found: dict[str, Any] = json.loads(title[1])
    return found


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_is_readable(
    pages: dict[str, str], tmp_path: Path, name: str, dark: bool
) -> None:
    found = measured(pages[name], tmp_path, 1100, dark=dark)
    assert found["texts"] > 40
    assert found["lowest"] >= 4.5


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width_px", [375, 1280])
def test_a_page_is_as_wide_as_the_screen(
    pages: dict[str, str], tmp_path: Path, name: str, width_px: int
) -> None:
    assert measured(pages[name], tmp_path, width_px)["wide"] <= width_px
