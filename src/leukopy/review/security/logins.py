"""Limit of failed log-ins."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from threading import Lock

from leukopy.core.errors import LeukopyError

WINDOW = 60.0
"""Seconds."""


class TooManyAttemptsError(LeukopyError):
    """A password was tried too often; it may be tried again in ``seconds``."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many failed log-ins. Try again in {seconds} seconds.")
        self.seconds = seconds


class LogIns:
    """Failed log-ins of the last minute, by the address they come from, in memory.

    A name has no limit of its own: anybody could keep its user out from everywhere.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = per_minute
        self._clock = clock
        self._attempts: deque[tuple[float, str]] = deque()
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def begin(self, *keys: str) -> None:
        """Count an attempt before its outcome is known, so that many at once gain nothing.

        Args:
            keys: whom and where it concerns; each has its own count.

        Raises:
            TooManyAttemptsError: one of the keys has used up its attempts.
        """
        with self._lock:
            now = self._clock()
            while self._attempts and self._attempts[0][0] <= now - WINDOW:
                self._forget(self._attempts.popleft()[1])
            if any(self._counts[key] >= self._most for key in keys):
                first = next(at for at, key in self._attempts if key in keys and self._counts[key] >= self._most)
                raise TooManyAttemptsError(max(1, round(first + WINDOW - now)))
            self._attempts.extend((now, key) for key in keys)
            self._counts.update(keys)

    def succeeded(self, *keys: str) -> None:
        """Take one attempt back: it was the right password."""
        with self._lock:
            for key in keys:
                if (attempt := next((each for each in self._attempts if each[1] == key), None)) is not None:
                    self._attempts.remove(attempt)
                    self._forget(key)

    def _forget(self, key: str) -> None:
        self._counts[key] -= 1
        if self._counts[key] <= 0:
            del self._counts[key]


def source(host: str) -> str:
    """Where attempts come from: an address, or the network of an IPv6 address, of which a computer has 2^64."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)
