"""axe-core finds nothing on any page or dialog of the review station, in both languages, sizes and colour schemes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")
pytest.importorskip("axe_playwright_python", reason="axe is not installed (extra 'dev')")

from leukopy.review import pages
from leukopy.review.records import Answers, CaseDraft, CaseSearch, Correction, Corrections, NewReading
from leukopy.review.settings import Exchange, ReviewSettings
from leukopy.review.store import ModelFacts, NewImage
from support.axe import SCREENS, findings
from support.passwords import PASSWORD
from support.predicted import predictions

CODES = ("SNE",) * 6 + ("LY",) * 3 + ("BLAST", None, "BNE")
FLAGS = ("uncertain", "unidentified", *[""] * 8, "no_cell", "")
TEMPLATES = Path(pages.__file__).parent / "templates"
NOBODY = "127.0.0.1:9"
"""Takes no result: deliveries wait."""


@pytest.fixture(scope="module")
def station(
    tmp_path_factory: pytest.TempPathFactory, colour_model: Any, station_of: Callable[..., Any]
) -> Iterator[Any]:
    """With a draft that holds every group of cells, two signed slides of one patient, and readings."""
    folder = tmp_path_factory.mktemp("station")
    settings = ReviewSettings(
        folder=folder / "station", serve=True, model=str(colour_model.path), before_signing="nothing",
        exchange=Exchange(hl7_results=NOBODY, orders_folder=folder),
    )  # fmt: skip
    with station_of(settings) as running:
        ada = running.store.users.check_password("ada", PASSWORD)
        rita = running.store.users.check_password("rita", PASSWORD)
        picture = colour_model.draw(folder / "c.png", "SNE").read_bytes()

        def new(user: Any, slide: str, codes: tuple[Any, ...], flags: Any = (), **values: Any) -> str:
            case = running.store.cases.open(user, CaseDraft(slide=slide, **values))
            images = [
                NewImage(f"{slide} {n}.png", picture + f"{slide} {n}".encode(), 64, 64, "image/png")
                for n in range(len(codes))
            ]
            running.store.cells.add_images(user, case.id, images)
            running.store.predictions.write(case.id, predictions(codes, flags), ModelFacts("colours", "c" * 64))
            return str(case.id)

        draft = new(ada, "draft", CODES, FLAGS, patient="P-1", leukocytes=7.5, priority="urgent", due="2026-01-02")
        changed = Corrections(changes=(Correction(cell=7, version=1, code="MO"),))
        running.store.corrections.correct(ada, draft, changed)
        with httpx.Client(base_url=f"{running.address}/api/v1", timeout=60) as client:
            answer = client.post("/session", json={"name": "ada", "password": PASSWORD})
            client.headers["X-CSRF-Token"] = answer.json()["csrf"]
            for slide, step in (("first", "sign"), ("second", "sign"), ("reviewed", "reviewed")):
                case = new(ada, slide, CODES[:9], patient="Kim", age=61, leukocytes=22, lymphocytes=9)
                for one in ("reviewed", "sign")[: 1 + (step == "sign")]:
                    version = client.get(f"/cases/{case}").json()["version"]
                    sent = client.post(f"/cases/{case}/{one}", json={"version": version, "password": PASSWORD}
                                       if one == "sign" else {"version": version})  # fmt: skip
                    assert sent.status_code == 200, sent.text
        running.store.cases.open(ada, CaseDraft(slide="by eye"))
        for slide in ("blind", "read"):
            blind = new(rita, slide, ("LY",))
            asked = running.store.readings.ask(rita, blind, NewReading(reader=ada.id))
        running.store.readings.answer(ada, asked.id, Answers(answers={1: "MO"}))
        running.store.readings.finish(ada, asked.id)
        yield running


class Tour:
    """One reader's way through all pages and dialogs."""

    def __init__(self, station: Any, page: Any, language: str) -> None:
        self.station, self.page, self.language = station, page, language
        self.found: dict[str, list[str]] = {}
        self.seen: set[str] = set()
        """Names of pages and dialogs."""
        user = station.store.users.for_maintenance()
        self.cases = {case.slide: case.id for case in station.store.cases.search(user, CaseSearch()).cases}

    def judge(self, name: str) -> None:
        self.found[name] = findings(self.page, self.language)
        self.seen.add(self.page.get_attribute("html", "data-page"))
        self.seen |= set(self.page.evaluate("[...document.querySelectorAll('dialog[open]')].map((one) => one.id)"))

    def go(self, path: str, ready: str) -> None:
        self.page.goto(self.station.address + path)
        self.page.wait_for_selector(ready)

    def dialog(self, button: str, name: str) -> None:
        """Open a dialog, judge and close it."""
        self.page.click(button)
        self.page.wait_for_selector(f"#{name}[open]")
        self.judge(name)
        self.page.keyboard.press("Escape")
        self.page.wait_for_selector(f"#{name}:not([open])", state="attached")

    def work_list(self) -> None:
        self.go("/", "#cases tr")
        self.judge("work list")
        self.dialog(".page-head .new-case", "new-case")
        self.dialog("#cases tr:has(a:text-is('draft')) button", "plan-dialog")

    def gallery(self) -> None:
        page = self.page
        self.go(f"/cases/{self.cases['draft']}", ".tile")
        self.judge("gallery")
        self.dialog("#camera", "camera-dialog")
        self.dialog("#edit", "case-dialog")
        page.locator(".tile").first.dblclick()
        page.wait_for_selector("#probabilities li")
        self.judge("cell")
        self.go(f"/cases/{self.cases['draft']}#queue", ".tile")
        page.reload()
        page.wait_for_selector("[data-group=look] .tile")
        self.judge("queue")
        page.click("#view-classes")
        page.locator(".tile").first.click()
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("/")
        page.wait_for_selector("#compared .figure-cell")
        self.judge("compared cells")
        page.keyboard.press("?")
        page.wait_for_selector("#help[open]")
        self.judge("help")
        page.route("**/smear", lambda route: route.abort(), times=1)
        self.go(f"/cases/{self.cases['reviewed']}", ".tile")
        page.wait_for_selector("#partial:visible")
        self.judge("a case that came in part")
        page.wrong.clear()

    def signature(self) -> None:
        self.go(f"/cases/{self.cases['draft']}/sign", "#count tr")
        self.judge("draft to sign")
        self.go(f"/cases/{self.cases['reviewed']}/sign", "#count tr")
        self.dialog("#sign", "confirm")
        self.go(f"/cases/{self.cases['first']}/sign", "#sent:visible")
        self.judge("signed")
        for button, name in (("#amend", "amend-dialog"), ("#void", "void-dialog"), ("#ask-reading", "ask-dialog")):
            self.dialog(button, name)
        self.go(f"/cases/{self.cases['first']}/compare", "#both:visible")
        self.judge("two slides")

    def readings(self) -> None:
        self.go(f"/cases/{self.cases['by eye']}/count", "#counter[aria-busy=false]")
        self.judge("count by eye")
        self.go("/readings", "#todo a")
        self.judge("readings")
        self.page.click("#todo a")
        self.page.wait_for_selector("#reading[aria-busy=false]")
        self.judge("blind reading")
        self.page.keyboard.press("l")
        self.page.wait_for_selector("#finish:enabled")
        self.dialog("#finish", "finish-dialog")
        self.go("/readings", "#done a")
        self.page.click("#done a")
        self.page.wait_for_selector("#disagreements li")
        self.judge("finished reading")

    def laboratory(self) -> None:
        self.go("/quality", "#confusion td")
        self.page.wait_for_selector("#daily:visible")
        self.judge("quality")
        self.go("/administration", "#entries tr")
        self.page.wait_for_selector("#exchange-table:visible")
        self.page.click("#verify")
        self.page.wait_for_selector("#verified:visible")
        for details in self.page.locator("main summary").all():
            details.click()
        self.judge("administration")
        for name in ("user", "phrase", "rule", "class"):
            self.dialog(f"#add-{name}", f"{name}-dialog")
        self.page.fill("#erase-form [name=patient]", "Kim")
        self.dialog("#void-patient", "void-dialog")
        self.dialog("#erase-form button:not([type])", "erase-dialog")
        self.go("/account", "#password-form")
        self.judge("account")
        self.go("/nowhere", "main.narrow")
        self.judge("error")
        self.page.wrong.clear()
        self.go("/", "#work[aria-busy=false]")
        self.page.click("#leave")
        self.page.wait_for_selector("#login")
        self.judge("log-in")


def all_pages_and_dialogs() -> set[str]:
    """By the templates; parts of pages and what all have in common are none."""
    names = {path.name.partition(".")[0] for path in TEMPLATES.glob("[!_]*.j2")} - {"layout"}
    dialogs = {
        name for path in TEMPLATES.glob("*.j2") for name in re.findall(r'<dialog id="([^"]+)"', path.read_text("utf-8"))
    }
    return names | dialogs


@pytest.mark.parametrize("language", SCREENS)
def test_axe_finds_nothing(station: Any, sign_in: Callable[..., Any], language: str) -> None:
    tour = Tour(station, sign_in(station, "ada", locale=language), language)
    for part in (tour.work_list, tour.gallery, tour.signature, tour.readings, tour.laboratory):
        part()
    assert {name: wrong for name, wrong in tour.found.items() if wrong} == {}
    assert all_pages_and_dialogs() - tour.seen == set()
