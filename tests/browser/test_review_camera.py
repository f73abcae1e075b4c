"""The live camera in a real browser, with Chromium's drawn camera."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from PIL import Image

from leukopy.review.records import CaseDraft
from support.passwords import PASSWORD
from support.waiting import until


def gallery(station: Any, sign_in: Callable[..., Any], slide: str, **options: Any) -> tuple[Any, str]:
    user = station.store.users.check_password("rita", PASSWORD)
    case = str(station.store.cases.open(user, CaseDraft(slide=slide)).id)
    page = sign_in(station, "rita", **options)
    page.goto(f"{station.address}/cases/{case}")
    page.wait_for_selector("#empty:visible")
    return page, case


def sizes(station: Any, case: str) -> list[tuple[int, int]]:
    user = station.store.users.for_maintenance()
    digests = station.store.predictions.digests(case)
    assert user.role
    return [Image.open(io.BytesIO(station.store.images.read(digest))).size for digest in digests]


def test_cells_and_whole_images_come_from_the_camera_into_the_case(
    colour_station: Any, sign_in: Callable[..., Any]
) -> None:
    page, case = gallery(colour_station, sign_in, "camera", permissions=["camera"])
    page.click("#camera")
    page.wait_for_selector("#camera-take:enabled")
    until(lambda: "fake" in page.inner_text("#camera-device").lower())
    width, height = page.evaluate(
        "(({ videoWidth, videoHeight }) => [videoWidth, videoHeight])(document.querySelector('video'))"
    )
    page.evaluate(
        "(side) => { side.value = 96; side.dispatchEvent(new Event('input')); }", page.query_selector("#camera-side")
    )
    view = page.locator("#camera-video")
    box = view.bounding_box()
    view.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    page.wait_for_selector("#camera-count:has-text('1 picture')")
    view.click(position={"x": 6, "y": 6})  # a cell at the edge is moved into the image
    page.wait_for_selector("#camera-count:has-text('2 pictures')")
    page.check("[name=camera-kind][value=whole]")
    page.click("#camera-take")
    page.wait_for_selector("#camera-count:has-text('3 pictures')")
    page.keyboard.press("Escape")
    page.wait_for_selector("#wrong:has-text('not in the case yet')")
    assert page.is_visible("#camera-dialog")
    page.click("#camera-add")
    store, user = colour_station.store, colour_station.store.users.check_password("rita", PASSWORD)
    (field,) = until(lambda: store.fields.all(user, case))
    assert (field.width, field.height) == (width, height)
    assert sizes(colour_station, case)[:2] == [(96, 96), (96, 96)]
    assert page.evaluate("document.querySelector('#camera-video').srcObject") is None  # the camera is off


def test_who_refuses_the_camera_is_told_what_to_do(colour_station: Any, sign_in: Callable[..., Any]) -> None:
    page, _ = gallery(colour_station, sign_in, "refused", permissions=[])
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError')); }"
    )
    page.click("#camera")
    page.wait_for_selector("#camera-wrong:has-text('Allow it for this address')")
    assert page.is_disabled("#camera-take")


def test_only_the_gallery_may_use_a_camera(colour_station: Any, sign_in: Callable[..., Any]) -> None:
    page, case = gallery(colour_station, sign_in, "policy")
    policy = {
        path: page.request.get(colour_station.address + path).headers["permissions-policy"].split(",")[0]
        for path in ("/", f"/cases/{case}", f"/cases/{case}/sign")
    }
    assert policy == {"/": "camera=()", f"/cases/{case}": "camera=(self)", f"/cases/{case}/sign": "camera=()"}
