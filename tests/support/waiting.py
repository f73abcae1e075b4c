"""Waiting for another thread or process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

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
