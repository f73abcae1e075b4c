"""Label maps as a table of the user's: labels in any language, abbreviations, and classes of the laboratory's own."""

from __future__ import annotations

import re
from pathlib import Path

from leukopy.core.errors import ManifestError, SettingsError
from leukopy.core.tables import Row, read_table
from leukopy.taxonomy.classes import CellClass, Place, declare, find
from leukopy.taxonomy.labels import LABEL_MAPS, LabelMap, label_key

_COLUMNS = {name: name for name in ("label", "code", "name", "french", "place", "colour")}
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,15}")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_COLOURS = ("#8c6d1f", "#4f7a28", "#a3477f", "#2b6f78", "#6b4fa0", "#a85b2a")
"""Colours of own classes without one, by their code."""


def open_label_map(labels: str, base: LabelMap) -> LabelMap:
    """The label map of a public source by its name, or of a table of the user's by its path (`read_label_table`).

    Args:
        labels: the name or path.
        base: the map that reads the labels that a table omits.

    Raises:
        SettingsError: neither; or an own class is defined otherwise elsewhere.
        ManifestError: as `read_label_table`.
    """
    if labels in LABEL_MAPS:
        return LABEL_MAPS[labels]
    if not Path(labels).is_file():
        raise SettingsError(
            f"label map {labels!r}: no such map and no such file; known maps: {', '.join(LABEL_MAPS)}. A map of your "
            "own is a table with the columns label and code."
        )
    return read_label_table(Path(labels), base)


def read_label_table(path: Path, base: LabelMap) -> LabelMap:
    """Read a label map from a table, and declare the laboratory's own classes in it.

    A row sends a ``label`` to a ``code``: a class code of the taxonomy, or a name that leukopy reads. Another code with
    a ``name`` defines a class of the laboratory's own; ``french`` is its name in reports in French, ``place`` is
    ``differential`` (a leukocyte; the default), ``per_100_leukocytes`` or ``outside``, ``colour`` as in ``#8c6d1f``.
    Further rows of an own class repeat its code alone.

    Args:
        path: a table (CSV, Parquet) with the columns ``label`` and ``code``.
        base: the map that reads all other labels.

    Raises:
        ManifestError: no such table, a label without a code or with two, an unknown code without a name; names the
            line.
        SettingsError: an own class is defined otherwise elsewhere.
    """
    table = read_table(path, _COLUMNS, ("label", "code"))
    own: dict[str, CellClass] = {}
    for row in table.rows:
        if row.values.get("name") and _known_code(row) is None:
            cell = _own_class(row)
            if own.setdefault(cell.code, cell) != cell:
                raise ManifestError(f"{row.where}: defines class {cell.code} a second time. Keep one definition.")
    labels: dict[str, str] = {}
    for row in table.rows:
        label, code = _read(row, own)
        if labels.setdefault(label, code) != code:
            raise ManifestError(f"{row.where}: its label has another code above ({labels[label]}). Keep one.")
    declare(own.values())
    return base.extended(path.name, labels, map(find, own))


def _known_code(row: Row) -> str | None:
    """Code of the taxonomy that the row names, in any spelling."""
    return LABEL_MAPS["leukopy"].codes.get(label_key(row.values["code"]))


def _read(row: Row, own: dict[str, CellClass]) -> tuple[str, str]:
    """The label of a row as it is looked up, and its code."""
    label, written = row.values["label"], row.values["code"]
    if not label or not written:
        raise ManifestError(f"{row.where}: needs a label and a code. Fill in both.")
    code = _known_code(row) or (written.upper() if written.upper() in own else None)
    if code is None:
        raise ManifestError(
            f"{row.where}: code {written!r} is no class of leukopy. Correct it, or give it a name (column 'name') to "
            "make it a class of your own."
        )
    return label_key(label), code


def _own_class(row: Row) -> CellClass:
    values = row.values
    code, name = values["code"].upper(), values["name"]
    if not _CODE.fullmatch(code):
        raise ManifestError(f"{row.where}: code {code!r} has other characters than A-Z, 0-9 and _, or more than 16.")
    if taken := LABEL_MAPS["leukopy"].codes.get(label_key(name)):
        raise ManifestError(f"{row.where}: {name!r} is class {taken} of leukopy. Give its code, or another name.")
    where = values.get("place") or Place.DIFFERENTIAL.value
    if where not in list(Place):
        raise ManifestError(f"{row.where}: place {where!r} is none of {', '.join(Place)}. Correct it.")
    colour = (values.get("colour") or _COLOURS[sum(code.encode()) % len(_COLOURS)]).lower()
    if not _COLOUR.fullmatch(colour):
        raise ManifestError(f"{row.where}: colour {colour!r} is not written as #8c6d1f. Correct it, or leave it empty.")
    return CellClass(code, name, values.get("french") or name, None, Place(where), colour)
