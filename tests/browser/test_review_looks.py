"""How the pages of the review station look: legible in light and dark, French in French, narrow on a phone.

``LEUKOPY_SCREENSHOTS=docs/images`` writes the pictures of the documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from leukopy.review.pages import texts
from leukopy.review.settings import ReviewSettings
from leukopy.workflows.draw import DrawSettings, draw
from support.contrast import CONTRAST
from support.passwords import PASSWORD
from support.screenshots import picture

WORDS = """
() => {
  const said = new Set();
  for (const element of document.querySelectorAll('body *')) {
    if (element.closest('td[lang]') && element.closest('[lang]').lang !== document.documentElement.lang) continue;
    for (const node of element.childNodes) if (node.nodeType === 3 && node.data.trim()) said.add(node.data.trim());
    for (const name of ['aria-label', 'title', 'placeholder', 'alt']) {
      if (element.getAttribute(name)) said.add(element.getAttribute(name).trim());
    }
  }
  return [...said];
}
"""

NAMELESS = """
() => [...document.querySelectorAll('button, a, input, select, textarea, [role=listbox], [role=region], dialog')]
  .filter((e) => e.type !== 'file' && !(e.textContent?.trim() || e.getAttribute('aria-label') || e.labels?.length
    || e.getAttribute('aria-labelledby') || e.querySelector?.('img[alt]')))
  .map((e) => e.outerHTML.slice(0, 120))
"""

PAGES = ("worklist", "gallery", "cell", "sign", "quality", "administration")


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory, station_of: Callable[..., Any]) -> Iterator[Any]:
    """With the model that ships."""
    folder = tmp_path_factory.mktemp("station")
    settings = ReviewSettings(folder=folder, serve=True, micrometres_per_pixel=0.2, laboratory="Haematology")
    with station_of(settings) as running:
        yield running


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    cells = draw(DrawSettings(cells=200, seed=5, size=180), tmp_path_factory.mktemp("drawn") / "slide").cells
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        for path in sorted(cells.iterdir()):
            archive.write(path, path.name)
    return packed.getvalue()


@pytest.fixture
def cases(station: Any, sign_in: Callable[..., Any], drawn: bytes) -> dict[str, str]:
    """A signed case and one that is worked on; made by the first test that asks."""
    page = sign_in(station, "ada")
    csrf = page.get_attribute("meta[name=csrf]", "content")

    def call(path: str, body: dict[str, Any]) -> Any:
        answer = page.request.post(
            f"{station.address}/api/v1{path}",
            data=body,
            headers={"X-CSRF-Token": csrf, "Origin": station.address},
        )
        assert answer.ok, answer.text()
        return answer.json()

    there = {case["slide"]: case["id"] for case in call("/cases/search", {})["cases"]}
    return there or _make(page, station, drawn, call)


def _make(page: Any, station: Any, drawn: bytes, call: Callable[[str, dict[str, Any]], Any]) -> dict[str, str]:
    made = {}
    for slide, patient, age in (("2026-0417 A", "P-1042", 61), ("2026-0418 B", "P-1043", 47)):
        made[slide] = call("/cases", {
            "slide": slide, "patient": patient, "age": age, "specimen_date": "2026-11-20", "leukocytes": 11.8,
            "lymphocytes": 5.2,
        })["id"]  # fmt: skip
        page.goto(f"{station.address}/cases/{made[slide]}")
        page.wait_for_selector("#empty:visible")
        page.set_input_files("#files", {"name": "slide.zip", "mimeType": "application/zip", "buffer": drawn})
        page.wait_for_selector(".tile")
        for code, key in (("SNE", "b"), ("SNE", "b"), ("MO", "l"), ("EO", "a")):
            page.locator(
                f".group[data-code={code}]"
            ).scroll_into_view_if_needed()  # its tiles are drawn near the screen
            page.locator(f".group[data-code={code}] .tile").first.click()
            with page.expect_response("**/corrections"):
                page.keyboard.press(key)
    signed = made["2026-0417 A"]
    cells = page.request.get(f"{station.address}/api/v1/cases/{signed}/cells").json()["cells"]
    seen = [{"cell": cell["id"], "version": cell["version"]} for cell in cells if cell["look"]]
    call(f"/cases/{signed}/confirmations", {"changes": seen})
    version = page.request.get(f"{station.address}/api/v1/cases/{signed}").json()["version"]
    version = call(f"/cases/{signed}/reviewed", {"version": version})["version"]
    call(f"/cases/{signed}/sign", {"version": version, "password": PASSWORD})
    return made


def look_at(page: Any, station: Any, cases: dict[str, str], name: str) -> None:
    """Open a page and wait until all of it is there."""
    draft, signed = cases["2026-0418 B"], cases["2026-0417 A"]
    page.goto(station.address + {
        "worklist": "/", "gallery": f"/cases/{draft}", "cell": f"/cases/{draft}", "sign": f"/cases/{signed}/sign",
        "quality": "/quality", "administration": "/administration",
    }[name])  # fmt: skip
    page.wait_for_selector({
        "worklist": "#cases tr", "gallery": "#count tr", "cell": "#count tr", "sign": "#influential img",
        "quality": "#confusion td", "administration": "#entries tr",
    }[name], state="attached")  # fmt: skip
    if name == "cell":
        page.locator(".group[data-code=SNE]").scroll_into_view_if_needed()
        page.locator(".group[data-code=SNE] .tile").nth(3).click()
        page.keyboard.press("Enter")
        page.wait_for_selector("#references img")
        page.check("#show-heat")
    if name == "administration":
        page.click("#verify")
        page.wait_for_selector("#verified:visible")
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible(scheme: str, station: Any, sign_in: Callable[..., Any], cases: dict[str, str]) -> None:
    page = sign_in(station, "ada", color_scheme=scheme)
    for name in PAGES:
        look_at(page, station, cases, name)
        assert page.evaluate(NAMELESS) == [], name
        picture(page, f"{name}-{scheme}")
        if name == "sign":
            page.evaluate("document.getElementById('patient-title').scrollIntoView()")
            page.wait_for_load_state("networkidle")
            picture(page, f"lymphocytosis-{scheme}")
        measured = page.evaluate(CONTRAST)
        assert len(measured) > 20
        assert [text for text in measured if text[0] < 1] == [], name
        assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light dark"
    page.click("#leave")
    page.wait_for_selector("#login")
    picture(page, f"login-{scheme}")
    assert page.evaluate(CONTRAST)[0][0] >= 1


def test_the_switch_of_colours_is_kept(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "ada", color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.click("#theme")
    page.click("#theme")
    dark = page.evaluate(paper)
    assert dark != light
    page.goto(f"{station.address}/quality")
    assert page.evaluate(paper) == dark
    page.click("#theme")
    assert page.evaluate(paper) == light


def test_french_pages_are_french(station: Any, sign_in: Callable[..., Any], cases: dict[str, str]) -> None:
    page = sign_in(station, "ada", locale="en-GB")
    page.click("[data-language=fr]")
    page.wait_for_selector("html[lang=fr] #work[aria-busy=false]")
    english = {text for key, text in texts("en").items() if text not in texts("fr").values() and "{" not in text}
    english |= {"segmented neutrophil", "Segmented neutrophil", "Band neutrophil", "Lymphocyte atypical"}
    for name in PAGES:
        look_at(page, station, cases, name)
        words = set(page.evaluate(WORDS))
        assert "Liste de travail" in words
        assert words & english == set(), name
    page.goto(f"{station.address}/cases/{cases['2026-0417 A']}/sign")
    page.wait_for_selector(r"#count [data-line=WBC] td:text-matches('[0-9],[0-9][0-9]')")  # decimal comma
    picture(page, "sign-french-light")


@pytest.mark.parametrize("size", [(390, 844), (820, 1180)])
def test_narrow_screens_do_not_scroll_sideways(
    size: tuple[int, int], station: Any, sign_in: Callable[..., Any], cases: dict[str, str]
) -> None:
    page = sign_in(station, "ada", viewport={"width": size[0], "height": size[1]}, has_touch=True)
    for name in PAGES:
        look_at(page, station, cases, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], name
        banner = page.locator(".banner").bounding_box()
        assert banner["y"] == 0  # research use only: always in sight, and all of it
        assert page.locator(".banner").evaluate(
            "e => e.scrollWidth <= e.clientWidth && e.scrollHeight <= e.clientHeight + 1"
        )
        if name in ("gallery", "sign"):
            picture(page, f"{name}-{'tablet' if size[0] > 800 else 'phone'}-light")
