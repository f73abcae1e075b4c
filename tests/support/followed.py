"""Which commands of the documentation tests follow, and why they do not follow the others."""

from __future__ import annotations

import re

TRAININGS = (
    "real images, and hours of training: the recipes are read (`tests/integration/test_recipes.py`), and the commands "
    "run on small pictures (`tests/studies`, `tests/training`, `tests/patients`)"
)
NOT_FOLLOWED = {
    r"pip (install|wheel) ": "a fresh environment: `tests/integration/test_wheel.py` and `.ci/run` make one",
    r"make ": "`.ci/run` runs each",
    r"\.ci/run": "runs these tests",
    r"LEUKOPY_SCREENSHOTS=.* pytest ": "is a test",
    r"export LEUKOPY_DATA=~/data": TRAININGS,
    r"leukopy .*\$LEUKOPY_DATA/": TRAININGS,
    r"leukopy (train|study (compare|transfer|leave-out|ablate|generate)|model build) .*configs/(?!own)": TRAININGS,
    r"leukopy .*--model runs/(lenet|vgg|vit)": TRAININGS,
    r"leukopy evaluate runs/vgg19-merged": TRAININGS,
    r"(podman|echo) ": "no engine of containers here: `tests/integration/test_container.py` runs the steps",
    r"ray ": "another machine: `tests/cluster/test_ray.py` starts a cluster",
    r"leukopy review .*(--authority|--entry)": "a public server, and a printed hash: `tests/review/test_stamps.py`",
}
"""A regular expression of lines, and why no test follows them here."""


def lines_of(block: str) -> list[str]:
    """The commands of a block: without prompt and comment lines, continued lines as one."""
    whole = re.sub(r"\\\n\s*", "", re.sub(r"^\$ ", "", block, flags=re.M))
    return [line for line in whole.splitlines() if line.strip() and not line.startswith("#")]


def reason(line: str) -> str | None:
    return next((why for pattern, why in NOT_FOLLOWED.items() if re.match(pattern, line)), None)
