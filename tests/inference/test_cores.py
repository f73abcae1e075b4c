"""Threads fit the process: its affinity and its container's quota."""

from __future__ import annotations

import os

import pytest

from leukopy.inference import cores
from leukopy.inference.cores import available_cores


@pytest.fixture
def control_group(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    for name in ("_QUOTA", "_QUOTA_V1", "_PERIOD_V1"):
        monkeypatch.setattr(cores, name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("content", "expected"),
    [("200000 100000\n", 2), ("250000 100000\n", 3), ("1000 100000\n", 1), ("max 100000\n", 16)],
)
def test_quota_of_a_container(control_group, content, expected):
    (control_group / "_QUOTA").write_text(content)
    assert available_cores() == expected


@pytest.mark.parametrize(("quota", "expected"), [("400000\n", 4), ("-1\n", 16)])
def test_quota_of_an_older_container(control_group, quota, expected):
    (control_group / "_QUOTA_V1").write_text(quota)
    (control_group / "_PERIOD_V1").write_text("100000\n")
    assert available_cores() == expected


def test_without_a_container_the_affinity_counts(control_group, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert available_cores() == 1
