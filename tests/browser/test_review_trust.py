"""The own password, a void case and an erased patient, driven in a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from support.passwords import PASSWORD


def accept(page: Any, status: int) -> None:
    """Take out what the browser wrote of a refused request that the test provoked."""
    page.wrong[:] = [text for text in page.wrong if f"status of {status}" not in text]


def test_void_and_erased_and_a_new_password(colour_station: Any, sign_in: Callable[..., Any]) -> None:
    station = colour_station
    page = sign_in(station, "ada")
    page.click(".page-head .new-case")
    page.fill("#new-case [name=slide]", "V1")
    page.fill("#new-case [name=patient]", "Xanthippe")
    page.select_option("#new-case [name=sex]", "female")
    page.fill("#new-case [name=leukocytes]", "7.4")
    page.fill("#new-case [name=lymphocytes]", "9.3")
    page.click("#new-case button.main")
    page.wait_for_selector("#wrong:has-text('more than all leukocytes')")
    accept(page, 422)
    page.goto(f"{station.address}/")
    page.click(".page-head .new-case")
    page.fill("#new-case [name=slide]", "V1")
    page.fill("#new-case [name=patient]", "Xanthippe")
    page.click("#new-case button.main")
    page.click("#cases a:text-is('V1')")
    page.wait_for_url("**/cases/*")
    page.goto(f"{page.url}/sign")
    page.click("#void")
    page.fill("#void-dialog textarea", "another's blood")
    page.click("#void-dialog button.main")
    page.wait_for_selector("#status .void")
    assert "another's blood" in page.inner_text("#voided")

    page.goto(f"{station.address}/administration")
    page.fill("#erase-form [name=patient]", "Xanthippe")
    page.click("#erase-form button:not([type])")
    page.click("#erase-dialog button.main")
    page.wait_for_selector("#said:has-text('1')")
    page.click("#verify")
    page.wait_for_selector("#verified.intact")

    page.click("a.who")
    page.fill("[name=present]", "not the password")
    page.fill("[name=new]", "another long password")
    page.fill("[name=again]", "another long password")
    page.click("#password-form button")
    page.wait_for_selector("#wrong:has-text('present password is wrong')")
    accept(page, 403)
    page.fill("[name=present]", PASSWORD)
    page.fill("[name=new]", "another long password")
    page.fill("[name=again]", "another long password")
    page.click("#password-form button")
    page.wait_for_selector("#said:has-text('Password changed')")
    page.goto(f"{station.address}/")
    page.wait_for_selector("#work[aria-busy=false]")
    page.goto(f"{station.address}/nowhere")
    page.wait_for_selector("h1:has-text('Not found')")
    accept(page, 404)
