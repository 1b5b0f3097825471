"""The pages a user reads: plain English, field terms, and a length that is read once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", *DOCS]
BANNED = {
    r"\btold\b": "reported, distinguished",
    r"\bapart from\b|\bbeside\b": "except for, next to, compared with",
    r"\bthose (that|which|who)\b": "the noun",
    r"\b(its|their) own\b": "separate, or leave it out",
    r"\balone\b": "only",
    r"\bcosts? nothing\b": "is free",
    r"\bidle seconds\b": "time on an idle machine",
    r"\bmoments\b": "datetimes; mean and variance",
    r"\blevels of (a|the) column\b": "categories",
    r"\b(is|are|was|were) (never |not )?called (rare|by|more|as|too)\b": "predicted",
    r"\bcalls? (a|the|new|rare) (row|rare|class|more|rows)\b": "predicts",
    r"\bmade (heart )?beats\b": "simulated",
    r"\bnothing may be\b|\bby now\b|\bthat are gone\b": "say what happens",
    r"(?:^|[.!?] )Of (?!course)": "no sentence starts with Of",
    r"\bis no (table|part|feature|class)\b": "is not a",
    r"\bas it sounds\b|\bwhat others took\b|\ball the same\b": "leave it out",
}
"""{pattern: what to write instead}; the reasons are in CONTRIBUTING.md."""


def paragraphs(text: str) -> Iterator[str]:
    """The prose of a page: no code, tables, headings, pictures, or addresses of links."""
    text = re.sub(r"^( *)```.*?^\1```", "\n\n", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"!\[[^]]*\]\([^)]*\)|<!--.*?-->|</?\w[^>]*>", "", text, flags=re.DOTALL)
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`\n]+`", "Code", text)
    text = re.sub(r"^(#.*|\|.*|    .*|>)", "\n", text, flags=re.MULTILINE)
    for part in re.split(r"\n\s*\n|^\s*(?:[-*]|\d+\.) ", text, flags=re.MULTILINE):
        if part.strip():
            yield " ".join(part.split())


def sentences(text: str) -> list[str]:
    """The sentences of a page; one ends with a full stop or a colon before a list, say."""
    ends = re.compile(r"(?<=[.!?])[*_\")]*\s+(?=[\"*(_]*[A-Z])|:\s*$")
    return [one for part in paragraphs(text) for one in ends.split(part) if one.strip()]


def test_sentences_are_counted_as_people_do() -> None:
    text = "# No\n\nOne `a.b` two [three](four.md). Five:\n\n- six\n- seven e.g. 8\n\n| no | no |\n"
    assert sentences(text) == ["One Code two three.", "Five", "six", "seven e.g. 8"]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_is_plain_english(page: Path) -> None:
    found = sentences(page.read_text(encoding="utf-8"))
    words = [len(sentence.split()) for sentence in found]
    assert [s for s, n in zip(found, words, strict=True) if n > 40] == []
    assert sum(words) / max(1, len(words)) <= 22
    for pattern, better in BANNED.items():
        wrong = [s for s in found if re.search(pattern, s)]
        assert wrong == [], f"write: {better}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_can_be_read_once(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    lines = text.splitlines()
    assert len(lines) <= (220 if page.name in ("figures.md", "method.md") else 120)
    assert [line for line in lines if len(line) > 120 and not re.match(r"[|!\[]", line)] == []
    if page == ROOT / "README.md":
        assert sum(len(part.split()) for part in paragraphs(text)) <= 700


def test_all_pages_together_can_be_read_in_an_afternoon() -> None:
    assert sum(len(page.read_text(encoding="utf-8").splitlines()) for page in DOCS) <= 1_500
