"""One frozen, closed settings object per workflow, saved beside its result and read back with ``--config``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from leukopy.core.errors import InputError, SettingsError


@dataclass(frozen=True)
class Shown:
    """Text shown for a default whose value means nothing to a reader: ``Annotated[int | None, Shown(…)]``."""

    words: str


class Settings(BaseModel):
    """Base of all settings: frozen, and an unknown key is an error.

    The docstring of a field is its description: the help of its command-line option too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def build(cls, values: dict[str, Any], where: str = "settings") -> Self:
        """Validate ``values``.

        Raises:
            SettingsError: one line naming each wrong key.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or 'settings'}: {item['msg']}" for item in error.errors()
            )
            raise SettingsError(f"{where}: {wrong}") from error

    @classmethod
    def read(cls, path: Path, **overrides: Any) -> Self:
        """Read settings from YAML or JSON, or from the ``settings`` of a ``run.json``.

        ``overrides`` replace the file's values where they are not None.
        """
        values = read_settings(path) | {key: value for key, value in overrides.items() if value is not None}
        return cls.build(values, where=str(path))


def read_settings(path: Path) -> dict[str, Any]:
    """The values of a settings file, or of the ``settings`` of a ``run.json``; errors as `read_mapping`."""
    values = read_mapping(path)
    inner = values.get("settings", values)
    if not isinstance(inner, dict):
        raise SettingsError(f"{path}: its 'settings' are not 'name: value' lines.")
    return inner


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML or JSON file whose top level is a mapping.

    Raises:
        InputError: the file is absent or not permitted.
        SettingsError: it is neither YAML nor JSON, or holds no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: not a settings file ({' '.join(str(error).split())}).") from error
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: a settings file holds 'name: value' lines.")
    return values


def apply_changes(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested ``values`` with the dotted names of ``changes`` set.

    A number is a place in a list, from 0, as in ``sources.0.root``.

    Raises:
        SettingsError: a dotted name goes through a value that holds no settings, or past the end of a list.
    """
    changed: dict[str, Any] = deepcopy(dict(values))
    for name, value in changes.items():
        *parents, last = name.split(".")
        target: Any = changed
        for parent in parents:
            target = target[_place(name, parent, target)] if isinstance(target, list) else target.setdefault(parent, {})
            if not isinstance(target, dict | list):
                raise SettingsError(f"--set {name}: {parent!r} holds no settings of its own.")
        target[_place(name, last, target) if isinstance(target, list) else last] = value
    return changed


def _place(name: str, text: str, values: list[Any]) -> int:
    """Place in a list that a part of a dotted name gives."""
    if not text.isascii() or not text.isdigit() or int(text) >= len(values):
        raise SettingsError(f"--set {name}: {text!r} is no place in a list of {len(values)}; the first is 0.")
    return int(text)
