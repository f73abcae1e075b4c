"""One manifest from the user's inputs: data sets, manifests, folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from leukopy.core.errors import InputError, SettingsError
from leukopy.datasets import DATASETS, open_dataset, read_manifest
from leukopy.taxonomy import label_key, label_map


def open_inputs(inputs: Sequence[str]) -> pl.DataFrame:
    """One manifest of all inputs.

    Args:
        inputs: each ``NAME=PATH`` (a data set and where it lies), a manifest (``.csv``, ``.tsv``, ``.parquet``) or a
            folder of images. The images of a folder are labelled by their folders where these are named by class.

    Returns:
        A table of ``MANIFEST_SCHEMA``; ``source`` is the name of the data set, of the manifest or of the folder, where
        the manifest does not name another.

    Raises:
        InputError: nothing there, nothing readable, or an image that two inputs name alike.
        ManifestError: a manifest is wrong.
        UnknownLabelError: a label that its map does not hold.
        SettingsError: no data set has the name.
    """
    manifest = pl.concat([_open(text) for text in inputs])
    twice = manifest.filter(pl.col("cell_id").is_duplicated())["source"].unique(maintain_order=True).to_list()
    if twice:
        raise InputError(
            f"{' '.join(inputs)}: images of source {twice[0]!r} are there twice. Name each input once, and give "
            "folders and manifests different names."
        )
    return manifest


def _open(text: str) -> pl.DataFrame:
    name, separator, place = text.partition("=")
    if separator and not Path(text).exists():
        if name not in DATASETS:
            raise SettingsError(f"{text}: {name!r} is no data set; known: {', '.join(DATASETS)}. Write NAME=PATH.")
        return open_dataset(name, Path(place))
    path = Path(text)
    if not path.exists():
        raise InputError(f"{text}: there is no such manifest or folder. A data set is written as in pbc=data/pbc.")
    if path.is_file():
        return read_manifest(path, source=path.stem)
    folder = path.resolve()
    listing = open_dataset("images", folder, source=folder.name)
    known = label_map(DATASETS["folders"].labels).codes
    parents = {label_key(Path(image).parent.name) for image in listing["path"]}
    return open_dataset("folders", folder, source=folder.name) if parents & known.keys() else listing
