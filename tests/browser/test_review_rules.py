"""Comment templates, findings and rules of signing in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from leukopy.review.records import CaseDraft, Tally
from leukopy.review.store.tables import new_id
from support.passwords import PASSWORD


@pytest.fixture
def station(colour_station: Any) -> Any:
    return colour_station


def test_an_administrator_writes_a_rule_and_a_template_and_a_reviewer_meets_them(
    station: Any, sign_in: Callable[..., Any]
) -> None:
    ada = sign_in(station, "ada")
    ada.click("text=Administration")
    ada.click("[data-rule=ANY_BLAST] button")
    ada.check("#rule-dialog [name=active]")
    ada.click("#rule-dialog button.main")
    ada.wait_for_selector("[data-rule=ANY_BLAST]:not(.inactive)")
    assert "All blasts at least 1 cells" in ada.inner_text("[data-rule=ANY_BLAST]")
    ada.click("#add-phrase")
    for name, value in (("code", "CALLED"), ("english", "Called the ward."), ("french", "Service appelé.")):
        ada.fill(f"#phrase-dialog [name={name}]", value)
    ada.click("#phrase-dialog button.main")
    ada.wait_for_selector("[data-phrase=CALLED]", state="attached")

    rita = station.store.users.check_password("rita", PASSWORD)
    case = station.store.cases.open(rita, CaseDraft(slide="rule"))
    station.store.eye_counts.add(rita, case.id, Tally(key=new_id(), steps=["BLAST", *["LY"] * 30]))
    page = sign_in(station, "rita", locale="fr-FR")
    page.goto(f"{station.address}/cases/{case.id}/count")
    page.wait_for_selector("#counter[aria-busy=false]")
    page.click("#edit")
    page.select_option("#case-dialog select.templates", "CALLED")
    assert page.input_value("#case-dialog [name=comment]") == "Service appelé."
    page.click("#findings-part summary")
    page.check("#findings [value=AUER_RODS]")
    page.click("#case-dialog button.main")
    page.wait_for_selector("#facts:has-text('Corps d’Auer')")
    page.click("#to-sign")
    page.wait_for_selector("#demands li")
    page.click("#reviewed")
    page.wait_for_selector("#demands li.unsure:has-text('un autre utilisateur signe')")
    page.click("#sign")
    page.fill("#confirm [name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#wrong:has-text('un autre utilisateur que celui qui a relu le cas')")
    page.wrong[:] = [text for text in page.wrong if "status of 409" not in text]

    ada.goto(f"{station.address}/cases/{case.id}/sign")
    ada.wait_for_selector("#demands li:has-text('Met.')")
    ada.click("#sign")
    ada.fill("#confirm [name=password]", PASSWORD)
    ada.keyboard.press("Enter")
    ada.wait_for_selector("#said:has-text('signed')")
    report = ada.request.get(f"{station.address}/api/v1/cases/{case.id}/report.html").text()
    assert "Auer rods" in report
    assert "Service appelé." in report
