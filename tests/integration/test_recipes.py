"""Every recipe that ships is read by the settings that it is made for, and by no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from leukopy.core.errors import LeukopyError
from leukopy.patients.workflows.ablate import read_ablation
from leukopy.patients.workflows.crossval import read_recipe
from leukopy.studies.generate import read_generator
from leukopy.studies.leave_class_out import read_left_out
from leukopy.studies.transfer import read_transfer
from leukopy.workflows.build import read_build
from leukopy.workflows.recipes import read
from support.files import REPOSITORY
from support.recipes import RECIPES, kind_of

READERS = {
    "cells": lambda path: read(path, {}),
    "generator": lambda path: read_generator(path, {}),
    "transfer": read_transfer,
    "leave a class out": read_left_out,
    "patients": read_recipe,
    "ablation": lambda path: read_ablation(path, {}),
    "build": read_build,
}


def reads(kind: str, path: Path) -> bool:
    try:
        READERS[kind](path)
    except LeukopyError:
        return False
    return True


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_recipe_is_read_by_its_settings_alone(path: Path) -> None:
    READERS[kind_of(path)](path)  # says what is wrong
    assert [kind for kind in READERS if reads(kind, path)] == [kind_of(path)]
