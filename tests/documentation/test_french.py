"""The French pages hold what their English pages hold: headings, commands, pictures, tables, names and figures."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from spellchecker import SpellChecker

import french_pages
from leukopy.taxonomy import COARSE, FINE, OUTSIDE
from support.commands import blocks
from support.files import REPOSITORY

ENGLISH, FRENCH = REPOSITORY / "docs", REPOSITORY / "docs" / "fr"
TRANSLATED = [name for name in french_pages.PAGES if name not in ("index", "glossary")]


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def headings(page: Path) -> list[str]:
    """Their levels, in order, with the number of rows of each table below."""
    return re.findall(r"^(#+) |^(\|)", prose(page), flags=re.MULTILINE)


def code(page: Path) -> list[str]:
    """The blocks of code without their comments."""
    found = blocks(page, r"\w*")
    return [re.sub(r" *#.*$", "", block, flags=re.MULTILINE) for block in found]


def names(page: Path) -> Counter[str]:
    """Names between backticks that are code; a word that the station shows is translated."""
    found = (" ".join(one.split()) for one in re.findall(r"`([^`]+)`", prose(page)))
    return Counter(one for one in found if not re.fullmatch(r"(was|était) [A-Z]+|[✓…]", one))


def targets(page: Path) -> Counter[str]:
    """The pages and pictures that a page links, without anchors: they are those of the headings of another language."""
    found = re.findall(r"\]\(([^)#\s]*)[^)]*\)", prose(page))
    return Counter(Path(one).name for one in found if one)


def figures(page: Path) -> Counter[float]:
    """The numbers of the prose: 1,000 and 1 000, .77 and 0,77 are the same ones."""
    text = re.sub(r"`[^`]+`|\]\([^)]*\)", "", prose(page))
    if page.parent == FRENCH:
        text = re.sub(r"(?<=\d)[ \u202f](?=\d{3}\b)", "", text)
        text = re.sub(r"(?<=\d),(?=\d)", ".", text)
    else:
        text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    return Counter(float(one) for one in re.findall(r"(?<![\w.])\d*\.?\d+(?![\w])", text))


@pytest.mark.parametrize("name", TRANSLATED)
@pytest.mark.parametrize("part", [headings, code, names, targets, figures], ids=lambda part: part.__name__)
def test_a_french_page_holds_what_the_english_one_holds(name: str, part) -> None:
    assert part(FRENCH / f"{name}.md") == part(ENGLISH / f"{name}.md")


def test_every_french_page_is_built() -> None:
    assert {path.stem for path in FRENCH.glob("*.md")} == set(french_pages.PAGES)


def test_the_glossaries_hold_the_same_terms() -> None:
    def rows(page: Path) -> list[tuple[str, ...]]:
        lines = [line for line in page.read_text("utf-8").splitlines() if line.startswith("| ")][1:]
        return [tuple(cell.strip() for cell in line.split("|")[1:3]) for line in lines]

    french = rows(FRENCH / "glossary.md")
    assert sorted((english, own) for own, english in french) == sorted(rows(ENGLISH / "glossary.md"))


def test_every_page_says_that_it_is_for_research() -> None:
    assert [
        path.stem
        for path in FRENCH.glob("*.md")
        if path.stem != "glossary" and "éservé à la recherche" not in path.read_text("utf-8")
    ] == []


def words(text: str) -> set[str]:
    """The French words of a page: no code, address, English citation, code of a class or abbreviation."""
    text = re.sub(
        r"^```.*?^```$|`[^`]*`|\]\([^)]*\)|<[^>]+>|(?<!\*)\*[^*]+\*(?!\*)|\([^()]*, \d{4}\)",
        " ",
        text,
        flags=re.M | re.S,
    )
    found = (one for word in re.findall(r"[^\W\d_]+", text) for one in word.split() if not word.isupper())
    return {word.lower() for word in found if len(word) > 1}


@pytest.fixture(scope="module")
def dictionary() -> SpellChecker:
    """The dictionary, the words of the list beside this file, and those of the glossary and the classes."""
    known = SpellChecker(language="fr")
    listed = (Path(__file__).parent / "french_words.txt").read_text("utf-8")
    glossary = [line.split("|") for line in (FRENCH / "glossary.md").read_text("utf-8").splitlines() if "|" in line]
    terms = " ".join(row[1] for row in glossary)
    terms += " ".join(cell.french for cell in (*FINE, *COARSE, *OUTSIDE))
    known.word_frequency.load_words([*listed.splitlines(), *words(terms), *(f"{word}s" for word in words(terms))])
    return known


@pytest.mark.parametrize("name", french_pages.PAGES)
def test_the_french_spelling(name: str, dictionary: SpellChecker) -> None:
    text = (FRENCH / f"{name}.md").read_text("utf-8")
    if name == "glossary":  # without its English column
        text = re.sub(r"^(\|[^|]*\|)[^|]*\|", r"\1", text, flags=re.MULTILINE)
    assert sorted(dictionary.unknown(words(text))) == [], "mend it, or add the word to french_words.txt"


def test_a_wrong_french_word_would_be_found(dictionary: SpellChecker) -> None:
    assert dictionary.unknown(["leucocite", "hematie", "plaquete", "cellule"]) == {"leucocite", "hematie", "plaquete"}


def test_every_listed_word_is_used() -> None:
    used = set().union(*(words((FRENCH / f"{name}.md").read_text("utf-8")) for name in french_pages.PAGES))
    listed = (Path(__file__).parent / "french_words.txt").read_text("utf-8").splitlines()[1:]
    assert [word for word in listed if word not in used] == []


def test_french_spacing() -> None:
    assert french_pages.typeset("Oui : « 15 000 » à 5 % ; `a : b`") == (
        "Oui\u00a0: «\u00a015\u202f000\u00a0» à 5\u00a0%\u00a0; `a : b`"
    )
    assert french_pages.typeset("```sh\na : b\n```\n") == "```sh\na : b\n```\n"


def test_a_page_that_drifts_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A\n\nAt most 5 of `b.csv`, [c](d.md#e).\n\n```sh\nleukopy doctor  # f\n```\n", "utf-8")
    assert headings(page) == [("#", "")]
    assert code(page) == ["leukopy doctor\n"]
    assert (names(page), targets(page), figures(page)) == ({"b.csv": 1}, {"d.md": 1}, {5.0: 1})
