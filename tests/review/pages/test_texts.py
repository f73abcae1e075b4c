"""What the pages say: in both languages, with nothing missing and nothing left over."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.imaging.decode import REASONS
from leukopy.review import uploads
from leukopy.review.pages import LANGUAGES, preferred_language, server_sentences, static_folder, texts
from leukopy.review.records import CaseDraft, JobState, NewUser, Role, Status
from leukopy.taxonomy import ATTRIBUTES, Place

PAGES = static_folder().parent
SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for path in sorted((*PAGES.glob("templates/*.j2"), *PAGES.glob("static/*.js")))
)  # fmt: skip
STORE = "\n".join(path.read_text(encoding="utf-8") for path in (PAGES.parent / "store").rglob("*.py"))


def said() -> Iterator[str]:
    """Keys that templates and modules name in full; those that count something have two forms."""
    yield from re.findall(r"\bt\(\s*\"([a-z_.0-9A-Z]+[a-z0-9])\"[,)\s]", SOURCES)
    for key in re.findall(r"\bcounted\(\s*\"([a-z_.]+)\"", SOURCES):
        yield from (f"{key}.one", f"{key}.other")


def built() -> Iterator[str]:
    """Keys that are put together from a word of the program's."""
    yield from (f"status.{status}" for status in Status)
    yield from (f"job.{state}" for state in (JobState.FINISHED, JobState.FAILED, JobState.CANCELLED, "lost"))
    yield from (f"role.{role}" for role in Role)
    yield from (f"place.{place}" for place in Place)
    yield from (f"refused.{reason}" for reason in (*REASONS, *uploads.REASONS))
    for attribute in ATTRIBUTES:
        yield f"attribute.{attribute.name}"
        yield from (f"attribute.{attribute.name}.{value}" for value in attribute.values)
    yield from (f"action.{action}" for action in ACTIONS)


SUBJECTS = "cases?|cells?|images|analysis|session|user|class|phrase|rule|reading|station|result|model"
ACTIONS = sorted(
    word
    for word in set(re.findall(rf"\"((?:{SUBJECTS})\.[a-z_]+)\"", STORE))
    if word.split(".")[1] not in ("id", "case_id", "number")
)
"""What the log may tell of."""


@pytest.mark.parametrize("tongue", LANGUAGES)
def test_every_sentence_that_is_asked_for_is_there(tongue: str) -> None:
    there = texts(tongue)
    assert len(ACTIONS) > 15
    assert sorted({*said(), *built()} - there.keys()) == []


def test_no_sentence_is_left_over() -> None:
    groups = set(re.findall(r"\bword\(\s*\"([a-z_]+)\"", SOURCES))
    groups |= set(re.findall(r"[\"`]([a-z_]+(?:\.[a-z_]+)*)\.(?:\$\{|\"\s*~)", SOURCES))  # `status.${…}`, "status." ~ …

    def asked_for(key: str) -> bool:
        named = any(f'"{name}"' in SOURCES for name in (key, key.removesuffix(".one").removesuffix(".other")))
        return named or any(key.startswith(f"{group}.") for group in groups)

    assert [key for key in texts("en") if not asked_for(key)] == []


def test_both_languages_say_the_same_things() -> None:
    english, french = texts("en"), texts("fr")
    assert list(english) == list(french)
    for key, sentence in english.items():
        assert set(re.findall(r"\{\w+\}", sentence)) == set(re.findall(r"\{\w+\}", french[key])), key
    assert english["notice"] == RESEARCH_USE_ONLY
    assert "recherche" in french["notice"]


def test_little_is_left_in_english() -> None:
    """A word that is the same in both is one of these, not a sentence that nobody translated."""
    same = {key: text for key, text in texts("fr").items() if text == texts("en")[key] and re.search("[a-z]{3}", text)}
    assert set(same.values()) <= {
        "Administration", "Signature", "Signatures", "Pages", "Patient", "patient", "Zoom", "Ctrl", "Kappa", "Code",
        "Place", "place", "Classes", "dense", "Message", "correction", "images", "lymphocytes", "sha256", "Vacuoles",
        "macrocyte", "microcyte", "stomatocyte", "ovalocyte", "elliptocyte",
        "{name} · {width} × {height} px",
    }  # fmt: skip


REFUSALS = {
    "Conflict", "Damaged", "Forbidden", "HTTPException", "InputError", "NotAllowed", "NotFound", "NotSignedInError",
    "AlreadyExists", "SettingsError",
}  # fmt: skip
"""What is raised with a sentence for whoever sits before a page."""

ELSEWHERE = {
    "audit.py", "backup.py", "database.py", "encryption.py", "fhir_client.py", "listener.py", "migrate.py", "page.py",
    "serving.py", "stamps.py",
}  # fmt: skip
"""Raise what only the command line or a program that calls the API meets."""


def sentence(node: ast.expr) -> str:
    """A text of the program's; ``{}`` is where a value is put. Empty for anything else."""
    if isinstance(node, ast.JoinedStr):
        marks = {ord("r"): "'{}'"}  # {name!r}
        return "".join(
            marks.get(part.conversion, "{}") if isinstance(part, ast.FormattedValue) else str(part.value)
            for part in node.values
            if isinstance(part, ast.FormattedValue | ast.Constant)
        )
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def refusals() -> Iterator[str]:
    """What the station says when it refuses something."""
    for path in sorted(PAGES.parent.rglob("*.py")):
        if path.name in ELSEWHERE:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in REFUSALS:
                yield from (text for text in map(sentence, node.args) if " " in text)


def test_all_that_the_station_refuses_is_said_in_french() -> None:
    said = set(refusals())
    known = {re.sub(r"\{\w+\}", "{}", english) for english in server_sentences("fr")}
    assert len(said) > 40
    assert sorted(text for text in said - known if not text.startswith("class {}, cell {}")) == []


def test_what_is_said_in_french_holds_no_value_that_the_english_does_not() -> None:
    assert server_sentences("en") == {}
    for english, french in server_sentences("fr").items():
        assert set(re.findall(r"\{\w+\}", french)) <= set(re.findall(r"\{\w+\}", english)), english
        assert french != english


@pytest.mark.parametrize(
    ("record", "values"),
    [
        (CaseDraft, {"slide": " "}),
        (CaseDraft, {"slide": "S1\0"}),
        (CaseDraft, {"slide": "S" * 300}),
        (NewUser, {"name": "ron", "full_name": "Ron", "role": "reader", "password": "short"}),
    ],
)
def test_what_is_wrong_with_an_entry_is_said_in_french(record: type[BaseModel], values: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as refused:
        record.model_validate(values)
    (message,) = (error["msg"] for error in refused.value.errors())
    patterns = [re.sub(r"\\{\w+\\}", ".+", re.escape(english)) for english in server_sentences("fr")]
    assert [pattern for pattern in patterns if re.fullmatch(pattern, message)], message


@pytest.mark.parametrize(
    ("cookie", "accept", "wanted"),
    [
        ("fr", "en-GB", "fr"),
        ("", "fr-CH,fr;q=0.9,en;q=0.8", "fr"),
        ("", "de-DE,fr;q=0.5", "fr"),
        ("../en", "it", "en"),
        ("", "", "en"),
    ],
)
def test_the_language_is_the_cookies_else_the_browsers(cookie: str, accept: str, wanted: str) -> None:
    headers = [(b"accept-language", accept.encode()), (b"cookie", f"language={cookie}".encode())]
    assert preferred_language(Request({"type": "http", "headers": headers})) == wanted


def test_pages_hold_no_script_style_or_address_of_another_place() -> None:
    """The content security policy forbids them; so they are not even tried."""
    templates, files = [*PAGES.glob("templates/*.j2")], [*PAGES.glob("static/*.js"), *PAGES.glob("static/*.css")]
    assert min(len(templates), len(files)) >= 5
    for path in templates:
        page = path.read_text(encoding="utf-8")
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?! src| type=\"module\" src)", page), path.name
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page), path.name
    for path in files:
        content = path.read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|@import|url\(", content
        ), path.name
        assert set(re.findall(r"https?://[^\"'` ]+", content)) <= {"http://www.w3.org/2000/svg"}, path.name


def test_files_are_short() -> None:
    files = [path for path in PAGES.rglob("*") if path.suffix in (".js", ".css", ".j2", ".py")]
    assert len(files) >= 10
    for path in files:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path.name


def test_colours_are_those_of_the_reports() -> None:
    import leukopy.reports

    report = (Path(leukopy.reports.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block)) for block in report.split("@media")[:2])
    own = (PAGES / "static" / "base.css").read_text(encoding="utf-8")
    pairs = {
        name: pair for name, *pair in re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", own)
    }
    shared = pairs.keys() & light.keys()
    assert len(shared) >= 9
    for name in shared:
        assert pairs[name] == [light[name], dark[name]], name
