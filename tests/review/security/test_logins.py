"""Failed log-ins are counted by where they come from, and forgotten after a minute."""

from __future__ import annotations

from threading import Thread

import pytest

from leukopy.review.security.logins import LogIns, TooManyAttemptsError, source


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_attempts_are_used_up_and_come_back_after_a_minute(clock):
    logins = LogIns(3, clock)
    for _ in range(3):
        logins.begin("name ron", "address a")
        clock.now += 10
    with pytest.raises(TooManyAttemptsError) as refused:
        logins.begin("name ron", "address b")
    assert refused.value.seconds == 30
    clock.now += 30
    logins.begin("name ron", "address b")


def test_each_key_counts_for_itself(clock):
    logins = LogIns(2, clock)
    for number in range(2):
        logins.begin(f"name {number}", "address a")
    with pytest.raises(TooManyAttemptsError):
        logins.begin("name 7", "address a")
    logins.begin("name 7", "address b")


def test_the_right_password_uses_nothing_up(clock):
    logins = LogIns(2, clock)
    for _ in range(10):
        logins.begin("name ron", "address a")
        logins.succeeded("name ron", "address a")
    logins.begin("name ron", "address a")
    logins.begin("name ron", "address a")
    with pytest.raises(TooManyAttemptsError):
        logins.begin("name ron", "address a")


def test_a_refused_attempt_does_not_lengthen_the_wait(clock):
    """Or anybody could keep a user out for ever."""
    logins = LogIns(1, clock)
    logins.begin("name ron")
    for _ in range(5):
        clock.now += 11
        with pytest.raises(TooManyAttemptsError):
            logins.begin("name ron")
    clock.now += 11
    logins.begin("name ron")


def test_many_at_once_gain_nothing():
    logins, taken = LogIns(5), []

    def attempt() -> None:
        try:
            logins.begin("name ron")
        except TooManyAttemptsError:
            return
        taken.append(True)

    threads = [Thread(target=attempt) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 5


def test_memory_is_bounded_by_the_minute(clock):
    logins = LogIns(5, clock)
    for number in range(1000):
        logins.begin(f"name {number}")
        clock.now += 1
    assert len(logins._attempts) <= 60
    assert len(logins._counts) <= 60


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("testclient", "testclient", True),
    ],
)
def test_a_source_is_an_address_or_the_network_of_one_computer(one, other, same):
    assert (source(one) == source(other)) is same
