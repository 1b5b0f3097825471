"""What is relied on in the report as a text. How a browser shows it is in test_in_browser.py."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from gan_augment.errors import ModelFileError
from gan_augment.evaluation.result import EvaluationResult
from gan_augment.report.html import fragment, is_report, render
from tests.report import results

HOSTILE = "<script>alert(1)</script>\"><img src=x onerror='alert(2)'>{{ 7 * 7 }} $x^2$ &amp;"
VERDICTS = sorted(path.stem for path in results.VERDICTS.glob("*.json"))


class Elements(HTMLParser):
    """Every element with its attributes, and all text that is shown."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "br", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


@pytest.fixture(scope="module")
def page() -> str:
    """The page of ten classes of images, with everything."""
    return render(results.images(), results.timings())


@pytest.mark.parametrize("name", VERDICTS)
def test_every_committed_result_is_rendered_with_its_sentence(name: str) -> None:
    result = results.real(name)
    shown = Elements(render(result))
    assert not shown.open
    word, _, why = result["verdict"]["sentence"].partition(": ")
    assert word in shown.text
    assert why[1:].replace("-", "−") in shown.text.replace("-", "−")
    assert "This result holds no samples to look at, no diagnostics" in shown.text


def test_a_page_needs_nothing_but_itself(page: str) -> None:
    shown = Elements(page)
    tags = {tag for tag, _ in shown.found}
    assert not tags & {"script", "iframe", "object", "embed", "form", "base"}
    for tag, attributes in shown.found:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset", "action", "poster"):
            value = attributes.get(name) or ""
            assert value.startswith(("#", "data:")) or not value, f"{tag} {name}={value}"
    assert not re.search(r"@import|https?://(?!www\.w3\.org)", page)
    assert all(place.startswith("#") for place in re.findall(r"url\(([^)]*)\)", page))


def test_a_page_of_ten_classes_of_images_is_below_3_megabytes(page: str) -> None:
    assert page.count("data:image/png;base64,") == 30
    assert len(page.encode()) <= 3_000_000


def test_the_same_result_gives_the_same_bytes(page: str) -> None:
    assert render(results.images(), results.timings()) == page


def test_ids_are_unique_and_links_of_a_page_lead_to_a_part_of_it() -> None:
    for result in (results.images(), results.real("glass")):
        found = Elements(render(result)).found
        ids = [str(attributes["id"]) for _, attributes in found if "id" in attributes]
        assert len(ids) == len(set(ids))
        links = [str(attributes["href"]) for tag, attributes in found if tag == "a"]
        assert links
        assert {link.removeprefix("#") for link in links} <= set(ids)


def test_names_that_are_html_are_shown_as_text() -> None:
    for write in (render, fragment):
        shown = Elements(write(results.hostile(HOSTILE)))
        assert not shown.open
        assert not {"script", "img"} & {tag for tag, _ in shown.found}
        assert HOSTILE in shown.text


def test_pictures_and_charts_say_what_they_show(page: str) -> None:
    found = Elements(page).found
    assert all(attributes.get("alt") for tag, attributes in found if tag == "img")
    drawn = [attributes for tag, attributes in found if tag == "svg"]
    assert len(drawn) > 30
    assert all(one.get("aria-label") or one.get("aria-hidden") == "true" for one in drawn)
    labels = {str(one.get("aria-label")) for one in drawn}
    points = 100 * results.images()["verdict"]["difference"]["mean"]
    said = f"the GAN’s rows minus nothing added: {points:+.1f} points".replace("-", "−")
    assert any(label.startswith(said) for label in labels)


def test_every_header_of_a_table_says_what_it_heads(page: str) -> None:
    headers = [attributes for tag, attributes in Elements(page).found if tag == "th"]
    scopes = {attributes.get("scope") for attributes in headers}
    assert scopes == {"row", "col", "colgroup"}


def test_everything_of_a_result_has_its_place(page: str) -> None:
    text = Elements(page).text
    for said in (
        "topped up: T-shirt/top, Sandal, Bag",
        "own decision",
        "recall of Trouser",
        "nearest real",
        "314 repeated",
        "calibration error",
        "rollback at step 200, back to 120: no variety in 'Bag'",
        "GAN-train",
        "4 real, 4 held-out rows; it needs 6 real.",
        "near by design",
        "13 min 14 s",
        "29 min 40 s in all, 4.7 s of it to look at samples",
        "SHA-256 of the data",
        "Not shown is not the same as not there",
        "Left out: ",
    ):
        assert said in text, said
    assert "private" not in text


def test_columns_of_a_table_are_drawn_with_what_their_bins_hold() -> None:
    shown = Elements(render(results.table()))
    labels = [str(a.get("aria-label")) for tag, a in shown.found if tag == "svg"]
    side = next(label for label in labels if label.startswith("side"))
    assert side == (
        "side, real / generated: left 50.0 / 70.0 %, right 40.0 / 30.0 %, missing 10.0 / 0.0 %; "
        "the two differ in 20.0 % of the rows"
    )


def test_a_hundred_classes_fold_away_what_is_beyond_twenty() -> None:
    shown = Elements(render(results.many_classes(100)))
    assert not shown.open
    assert "80 more classes" in shown.text
    assert "88 others" in shown.text
    assert "80 more guardrails" in shown.text


@pytest.mark.parametrize(
    ("word", "arm", "tone", "plain"),
    [
        ("ADOPT", "gan", "good", "Add the GAN’s rows"),
        ("USE smote", "smote", "cheap", "Take SMOTE"),
        ("LIKELY HELPS", "gan", "good", "probably help"),
        ("NO PRACTICAL DIFFERENCE", "none", "calm", "no difference that matters"),
        ("INSUFFICIENT DATA", "none", "wary", "too few rare rows"),
        ("HARMFUL", "none", "bad", "Do not add"),
    ],
)
def test_each_verdict_has_its_colour_and_its_plain_words(
    word: str, arm: str, tone: str, plain: str
) -> None:
    result = results.real("glass")
    result["verdict"] |= {"word": word, "arm": arm, "sentence": f"{word}: because."}
    for shown in (render(result), fragment(result)):
        assert f'class="verdict {tone}"' in shown
        assert f'<span class="word">{word}</span>' in shown
        assert plain in shown
        assert "<p>Because.</p>" in shown


def test_warnings_come_before_the_arms() -> None:
    text = Elements(render(results.real("mammography"))).text
    assert text.index("3338 rows equal another") < text.index("Against doing nothing")


def test_a_single_split_and_no_probabilities_are_told_without_an_interval() -> None:
    result = results.real("glass")
    one = {"mean": 0.01, "error": None, "freedom": 0, "n": 1, "interval": None}
    for arm in result["arms"].values():
        arm["calibration"] = None
        if arm["minus_none"]:
            arm["minus_none"]["tuned"]["balanced_accuracy"] = one
    result["verdict"] |= {"difference": one, "detectable": None}
    text = Elements(render(result)).text
    assert "unknown" in text
    assert "Brier" not in text


def test_without_a_gan_the_report_still_tells_the_other_arms() -> None:
    result = results.real("glass")
    result["arms"]["gan"] = {**dict.fromkeys(result["arms"]["gan"]), "missing": "6 rows <1"}
    result["verdict"] |= {"difference": None, "detectable": None, "guardrails": {}}
    result |= {"gan_minus": {}, "copies": {"generated": 0, "flag": False}}
    result["curves"] = {"to": [], "share": [], "real_rows": []}
    result["few_positives"] = {"bootstrap": None, "mcnemar": {}}
    assert "missing: 6 rows &lt;1" in render(result)


@pytest.mark.parametrize(
    "broken",
    [
        {"verdict": {"word": "ADOPT"}},
        {"schema": 1, "verdict": {}},
        {**results.real("glass"), "arms": 3},
        {**results.real("glass"), "training": [{"fold": 0, "curve": {"scores": [3]}}]},
        {
            **results.real("glass"),
            "pictures": {
                "kind": "images",
                "fold": 0,
                "shown": 8,
                "height": 32,
                "width": 32,
                "classes": {"a": {"real": "bm90IGEgcGljdHVyZSBhdCBhbGwgYnV0IHRleHQu"}},
            },
        },
    ],
)
def test_what_is_no_result_is_refused_in_a_line(broken: dict[str, Any]) -> None:
    with pytest.raises(ModelFileError, match="the result cannot be shown"):
        render(broken)


def test_a_result_is_left_as_it_was() -> None:
    result = results.table()
    before = copy.deepcopy(result)
    render(result)
    fragment(result)
    assert result == before


def test_a_fragment_is_the_verdict_and_the_arms_in_styles_of_their_own() -> None:
    shown = fragment(results.real("glass"))
    assert shown.startswith('<div class="gan-augment"')
    assert "Class by class" not in shown
    style = shown[shown.index("<style>") + 7 : shown.index("</style>")]
    for selectors in re.findall(r"(?:^|[{}])\s*([^{}@]+)\{", style):
        for selector in selectors.split(","):
            assert selector.strip().startswith(".gan-augment"), selector


def test_an_evaluation_shows_itself_and_writes_its_report(tmp_path: Any) -> None:
    found = EvaluationResult(results.real("glass"), results.timings())
    page = found.to_html(tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").read_text(encoding="utf-8") == page
    assert is_report(page.encode())
    assert found._repr_html_() == fragment(found.result)
    found.save(tmp_path / "saved")
    assert (tmp_path / "saved" / "report.html").read_text(encoding="utf-8") == page
