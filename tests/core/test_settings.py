"""Settings are closed, frozen, and read back from what they were saved to."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from leukopy.core.errors import InputError, SettingsError
from leukopy.core.files import write_json
from leukopy.core.settings import Settings, apply_changes


class Example(Settings):
    size: int = 128
    name: str = "a"


def test_reads_yaml_json_and_a_run(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("size: 64\n")
    write_json(tmp_path / "a.json", {"size": 64})
    write_json(tmp_path / "run.json", {"settings": {"size": 64}, "provenance": {}})
    for name in ("a.yaml", "a.json", "run.json"):
        assert Example.read(tmp_path / name) == Example(size=64)


def test_options_override_the_file_where_given(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("{size: 64, name: b}\n")
    assert Example.read(tmp_path / "a.yaml", size=32, name=None) == Example(size=32, name="b")


@pytest.mark.parametrize(
    ("text", "named"), [("sise: 3", "sise"), ("size: big", "size"), ("- 1", "name: value"), ("a: [", "not a settings")]
)
def test_what_is_wrong_is_named_in_one_line(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(SettingsError, match=named) as caught:
        Example.read(tmp_path / "a.yaml")
    assert "\n" not in str(caught.value)
    assert "a.yaml" in str(caught.value)


def test_an_absent_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml"):
        Example.read(tmp_path / "none.yaml")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Example().size = 3  # type: ignore[misc]


def test_a_place_in_a_list_is_changed_by_its_number() -> None:
    values = {"sources": [{"root": "a"}, {"root": "b"}], "sizes": [1, 2]}
    found = apply_changes(values, {"sources.1.root": "c", "sizes.0": 5, "sources.0.crop": 0.8})
    assert found == {"sources": [{"root": "a", "crop": 0.8}, {"root": "c"}], "sizes": [5, 2]}
    assert values["sources"][1]["root"] == "b"
    for name in ("sources.2.root", "sources.last.root", "sizes.-1"):
        with pytest.raises(SettingsError, match="is no place in a list of 2; the first is 0"):
            apply_changes(values, {name: 1})
