"""Calls to an object store that are repeated where it is busy or the connection breaks."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from leukopy.core.errors import InputError

T = TypeVar("T")

TRIES = 8
"""Calls until one is given up: with the waits between them, about a minute."""
FIRST_WAIT, LONGEST_WAIT = 0.2, 30.0
"""Seconds; a wait doubles from call to call, and a random half of it is left out."""

_SECRET = re.compile(r"KEY|SECRET|TOKEN|PASSW|CREDENTIAL|SAS", re.IGNORECASE)


class Retries:
    """Repeats calls that fail, waits longer each time, and counts."""

    def __init__(self, wait: Callable[[float], object] = time.sleep) -> None:
        self.count = 0
        """Repeated calls so far."""
        self._wait = wait

    def call(self, where: str, work: Callable[[], T], final: tuple[type[Exception], ...] = ()) -> T:
        """The result of ``work``.

        Args:
            where: the URI in messages.
            work: a call to the store.
            final: errors that a repetition would not change; they are raised as they are.

        Raises:
            InputError: the store refuses every call; the message holds no value of a secret of the environment.
        """
        for number in range(TRIES):
            try:
                return work()
            except final:
                raise
            except Exception as error:  # noqa: BLE001  (each client has errors of its own; the last one is raised)
                if number + 1 == TRIES:
                    cause = redacted(f"{type(error).__name__}: {error}".splitlines()[0])
                    raise InputError(
                        f"{where}: the object store refused {TRIES} calls ({cause}). Check the connection and the "
                        "credentials in the environment, and run the same command again."
                    ) from None
            self.count += 1
            longest = min(LONGEST_WAIT, FIRST_WAIT * 2**number)
            self._wait(random.uniform(longest / 2, longest))
        raise AssertionError("a call returns or raises")


def redacted(text: str) -> str:
    """A text without the values of secrets in the environment."""
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) >= 4:
            text = text.replace(value, "***")
    return text
