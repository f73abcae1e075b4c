"""Waiting for another thread, process or page."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

Found = TypeVar("Found")

HANGS = 900
"""Seconds after which a test is given up; far more than any test needs on the busiest machine."""


def until(reached: Callable[[], Found]) -> Found:
    """Ask until the answer is true, and return it."""
    given_up = time.monotonic() + HANGS
    while not (found := reached()):
        if time.monotonic() > given_up:
            raise TimeoutError(f"{reached} was not reached")
        time.sleep(0.01)
    return found


def hold(page: Any, address: str, act: Callable[[], object]) -> Any:
    """Do what asks for an address, and keep its request in the browser until `continue_` of what is returned."""
    routes: list[Any] = []

    def keep(route: Any) -> None:
        routes.append(route)

    page.route(address, keep, times=1)
    act()
    while not routes:
        page.wait_for_timeout(20)
    return routes[0]
