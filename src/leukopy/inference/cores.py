"""How many threads fit this process."""

from __future__ import annotations

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_QUOTA_V1 = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
_PERIOD_V1 = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def available_cores() -> int:
    """Cores this process may use: its affinity and its container's quota, not what the machine holds."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, _container_quota()))


def _container_quota() -> int:
    """Cores that the control group grants (Linux containers), rounded up; without a limit, more than exist."""
    unlimited = 1 << 20
    try:
        if _QUOTA.exists():
            quota, period = _QUOTA.read_text().split()
        else:
            quota, period = _QUOTA_V1.read_text().strip(), _PERIOD_V1.read_text().strip()
        return math.ceil(int(quota) / int(period)) if int(quota) > 0 else unlimited
    except (OSError, ValueError):  # no control group, or "max"
        return unlimited
