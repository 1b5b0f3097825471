"""The report as a page, as charts, and as text for a terminal."""

from __future__ import annotations

import copy
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from PIL import Image

from gan_augment.errors import ModelFileError
from gan_augment.evaluation.result import EvaluationResult
from gan_augment.report.charts import VARIABLES, curves, draw, slide
from gan_augment.report.html import fragment, render
from gan_augment.report.tables import costs, lines, remedies
from gan_augment.report.wording import span
from tests.report import results
from tests.report.results import HOSTILE


class Elements(HTMLParser):
    """Every element with its attributes, and all visible text."""

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
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


@pytest.fixture(scope="module")
def page() -> str:
    """The page of ten classes of images with every section."""
    return render(results.images(), results.timings())


@pytest.fixture(scope="module")
def hostile() -> str:
    """A page whose names are all HTML."""
    return render(results.hostile(HOSTILE))


@pytest.fixture
def glass() -> dict[str, Any]:
    """Four folds of six classes, three of them topped up."""
    return results.real("glass")


@pytest.mark.parametrize("name", ["blood_cells_32", "glass", "mammography"])
def test_a_committed_result_is_rendered_with_its_sentence(name: str) -> None:
    result = results.real(name)
    shown = Elements(render(result))
    assert not shown.open
    word, _, why = result["verdict"]["sentence"].partition(": ")
    assert word in shown.text
    assert why[1:] in shown.text


def test_a_page_is_self_contained_and_small(page: str) -> None:
    shown = Elements(page)
    assert not {tag for tag, _ in shown.found} & {"script", "iframe", "object", "embed", "form"}
    for tag, attributes in shown.found:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "srcset", "action", "poster"):
            value = attributes.get(name) or ""
            assert value.startswith(("#", "data:")) or not value, f"{tag} {name}={value}"
    assert not re.search(r"@import|https?://(?!www\.w3\.org)", page)
    assert all(place.startswith("#") for place in re.findall(r"url\(([^)]*)\)", page))
    assert len(page.encode()) <= 3_000_000


def test_the_same_result_gives_the_same_bytes_and_stays_as_it_was(page: str) -> None:
    result = results.images()
    before = copy.deepcopy(result)
    assert render(result, results.timings()) == page
    assert result == before


def test_ids_are_unique_and_links_lead_to_a_section(page: str) -> None:
    found = Elements(page).found
    ids = [str(attributes["id"]) for _, attributes in found if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [str(attributes["href"]) for tag, attributes in found if tag == "a"]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_names_that_are_html_are_shown_as_text(hostile: str) -> None:
    for text in (hostile, fragment(results.hostile(HOSTILE))):
        shown = Elements(text)
        assert not shown.open
        assert not {"script", "img"} & {tag for tag, _ in shown.found}
        assert HOSTILE in shown.text


def test_charts_follow_the_theme_and_have_a_title(page: str) -> None:
    found = Elements(page).found
    drawn = [str(attributes["aria-label"]) for tag, attributes in found if tag == "svg"]
    assert len(drawn) == 2
    assert drawn[0] == "Gain of each remedy over the classifier as it is, in points"
    assert not [colour for colour in VARIABLES if colour in page]
    assert all(attributes.get("alt") for tag, attributes in found if tag == "img")


def test_charts_of_a_table_show_its_columns_and_the_slide_is_a_png_on_white() -> None:
    before, result = dict(mpl.rcParams), results.table()
    assert set(draw(result)) == {"remedies", "classes", "columns-0"}
    png = slide(result)
    assert png is not None
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.width == 1440
        assert picture.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)
    assert dict(mpl.rcParams) == before
    result["recommendation"]["remedies"] = []
    assert slide(result) is None


def test_curves_are_drawn_of_what_was_trained_with_rollbacks() -> None:
    step = {"event": "step", "images": 16, "d_loss": 1.0, "images_per_s": 9.0}
    score = {"event": "score", "step": 4, "value": 2.0, "parts": {"rare/spread": 0.4}}
    rollback = {"event": "rollback", "step": 2, "failed_at": 4}
    events = [step | {"step": n} for n in (2, 4)] + [score]
    smooth, broken = curves(events, ["rare"]), curves([*events, rollback, *events], ["rare"])
    assert smooth is not None
    assert smooth.startswith(b"\x89PNG")
    assert smooth != broken
    assert curves([rollback], []) is None


def test_every_section_of_a_result_is_shown(page: str) -> None:
    text = Elements(page).text
    for part in (
        "rare: T-shirt/top, Sandal, Bag",
        "Default decision",
        "What do the generated images look like?",
        "recall of Trouser",
        "nearest real",
        "314 repeated",
        "4 real, 4 held-out rows; it needs 6 real.",
        "793.7",
        "1,780 in total",
        "SHA-256 of the data",
        "Left out: ",
    ):
        assert part in text, part
    scopes = {attributes.get("scope") for tag, attributes in Elements(page).found if tag == "th"}
    assert scopes == {"row", "col"}


def test_remedies_are_sorted_rows_with_their_gain_and_what_else_they_change() -> None:
    result = results.table()
    changes = {"rare_recall": 0.2, "other_recall": None, "accuracy": -0.05}
    changes |= {"log_loss": 0.1234, "brier": -0.0001}
    gain = result["recommendation"]["remedies"][0]["gain"] | {"mean": 0.081}
    result["recommendation"]["remedies"] = [
        {"arm": "none", "decision": "corrected", "gain": gain, "changes": changes}
    ]
    found = remedies(result)
    interval = span(gain["interval"])
    cells = ["+8.1", interval, "+20.0", "-", "-5.0", "+0.123", "+0.000"]
    assert found.rows == [["prior correction", *cells]]


def test_a_hundred_classes_are_folded_beyond_twenty() -> None:
    shown = Elements(render(results.many_classes(100)))
    assert not shown.open
    for folded in ("80 more rows", "88 others"):
        assert folded in shown.text


@pytest.mark.parametrize(
    ("word", "arm", "tone", "plain"),
    [
        ("ADOPT", "gan", "good", "Yes."),
        ("USE smote", "smote", "cheap", "No. Use SMOTE"),
        ("LIKELY HELPS", "gan", "good", "Probably."),
        ("NO PRACTICAL DIFFERENCE", "none", "calm", "no difference that matters"),
        ("INSUFFICIENT DATA", "none", "wary", "too few rare rows"),
        ("HARMFUL", "none", "bad", "No. They make"),
    ],
)
def test_each_verdict_has_its_colour_and_its_plain_words(
    glass: dict[str, Any], word: str, arm: str, tone: str, plain: str
) -> None:
    glass["verdict"] |= {"word": word, "arm": arm, "sentence": f"{word}: because."}
    shown = fragment(glass)
    assert f'class="verdict {tone}"' in shown
    assert f'<span class="word">{word}</span>' in shown
    assert plain in Elements(shown).text
    assert "<p>Because.</p>" in shown


def test_one_split_without_probabilities_and_without_a_gan_is_shown(glass: dict[str, Any]) -> None:
    one = {"mean": 0.031, "error": None, "freedom": 0, "n": 1, "interval": None}
    decision = glass["declared"]["decision"]
    for name, arm in glass["arms"].items():
        arm["calibration"] = None
        if name != "none":
            arm["minus_none"][decision]["balanced_accuracy"] = one
            arm[decision]["balanced_accuracy"]["sd"] = None
    assert "generated rows +3.1 unknown 66.2 ± 5.0 66.2" in cells(glass)
    missing(glass, "gan", "6 rows <1")
    glass["verdict"] |= {"difference": None, "detectable": None, "guardrails": {}}
    glass |= {"gan_minus": {}, "copies": {"generated": 0, "flag": False}}
    assert "generated rows is missing: 6 rows &lt;1" in render(glass)
    assert "- generated rows is missing: 6 rows <1" in lines(glass)


@pytest.mark.parametrize(
    "broken",
    [
        {"verdict": {"word": "ADOPT"}},
        {"schema": 1, "verdict": {}},
        {**results.real("glass"), "arms": 3},
    ],
)
def test_other_dictionaries_are_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ModelFileError, match="cannot be shown"):
        render(broken)


def test_a_fragment_is_the_recommendation_and_the_verdict_with_its_own_styles(
    glass: dict[str, Any],
) -> None:
    shown = fragment(glass)
    assert shown.startswith('<div class="gan-augment"')
    assert "Class by class" not in shown
    style = shown[shown.index("<style>") + 7 : shown.index("</style>")]
    for selectors in re.findall(r"(?:^|[{}])\s*([^{}@]+)\{", style):
        for selector in selectors.split(","):
            assert selector.strip().startswith(".gan-augment"), selector


def test_an_evaluation_shows_itself_and_writes_its_report(
    tmp_path: Path, glass: dict[str, Any]
) -> None:
    found = EvaluationResult(glass, results.timings())
    page = found.to_html(tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").read_text(encoding="utf-8") == page
    assert found._repr_html_() == fragment(glass)


def missing(result: dict[str, Any], name: str, why: str) -> None:
    result["arms"][name] = {**dict.fromkeys(result["arms"][name]), "missing": why}


def cells(result: dict[str, Any]) -> list[str]:
    """Return the lines with one blank between words."""
    return [" ".join(line.split()) for line in lines(result)]


def test_text_begins_with_the_recommendation_and_its_code(glass: dict[str, Any]) -> None:
    glass["verdict"]["sentence"] = "NO EVIDENCE: an example."
    glass["verdict"]["reasons"] = ["P(D > 0) is .97"]
    glass["verdict"]["guardrails"]["accuracy"]["state"] = "held"
    rails = glass["verdict"]["guardrails"]
    glass["verdict"]["guardrails"] = {name: rails[name] for name in ("accuracy", "log loss")}
    text = lines(glass)
    assert text[0] == glass["recommendation"]["sentence"]
    assert text[2:4] == ["What to do:", "    model = learner.fit(X, y)"]
    at = text.index("NO EVIDENCE: an example.")
    assert text[at - 1 : at + 4] == [
        "Are generated rows worth adding?",
        "NO EVIDENCE: an example.",
        "- P(D > 0) is .97",
        "- guardrails open: log loss",
        "- guardrails held: accuracy",
    ]


def test_the_first_screen_has_what_to_do_and_what_it_gains_but_no_reasons(
    glass: dict[str, Any],
) -> None:
    text = lines(glass, figures=False)
    assert text[:4] == lines(glass)[:4]
    assert len(text) <= 20
    assert any(line.startswith("remedy") for line in text)
    assert any(line.startswith("Are generated rows worth adding? ") for line in text)
    assert not any("P(" in line for line in text)


def test_text_has_a_line_per_arm_and_per_class_and_ends_with_warnings(
    glass: dict[str, Any],
) -> None:
    glass["data"]["left_out"] = {"lone": "2 rows; expected at least 4"}
    glass["protocol"]["left_out"] = ["diagnostics"]
    text = lines(glass)
    assert "nothing added 63.5 ± 9.8 73.2 ± 6.1" in cells(glass)
    assert "generated rows -7.0 -30.7 to +16.7 66.2 ± 5.0 66.2 ± 5.0" in cells(glass)
    at = next(i for i, line in enumerate(text) if line.startswith("recall of each class"))
    names = [line.split()[0] for line in text[at + 2 : at + 8]]
    assert names == [
        *("*tableware", "*containers", "*vehicle_float"),
        *("headlamps", "building_float", "building_nonfloat"),
    ]
    assert text[at + 2].split() == ["*tableware", "9", "9", "55.6", "66.7", "55.6"]
    assert text[at + 8] == "- lone is left out: 2 rows; expected at least 4"
    assert any(line.startswith("- warning: 2 rows equal another") for line in text)
    assert text[-1] == "- left out: diagnostics"


def test_text_of_a_learner_without_scores_has_one_decision_and_no_loss(
    glass: dict[str, Any],
) -> None:
    glass["declared"]["decision"] = "default"
    del glass["verdict"]["guardrails"]["log loss"]
    for one in glass["arms"].values():
        one["calibration"] = None
        del one["default"]["average_precision"]
    assert "nothing added 63.5 ± 9.8" in cells(glass)
    text = lines(glass)
    text = "\n".join(text[text.index("") :])
    assert "log loss after" not in text
    assert "average precision" not in text


def test_text_fits_a_hundred_columns_with_long_names_and_many_classes() -> None:
    result = results.many_classes(200)
    result["verdict"] |= {"arm": "class_weight", "sentence": "many words of a sentence " * 20}
    result["arms"]["sampler:a sampler of mine with a long name"] = result["arms"]["smote"]
    result["verdict"]["guardrails"] = {}
    text = lines(result)
    assert max(map(len, text)) <= 100
    assert "- 180 more classes are in result.json" in text


def test_the_generator_counts_as_a_cost_of_the_gan() -> None:
    found = {name: seconds for name, *seconds in costs(results.timings()).rows}
    assert found["generated rows"] == ["793.7", "46.6", "168.1", "1,008.4"]
    assert found["nothing added"][0] == "0.0"
