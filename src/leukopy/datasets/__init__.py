"""Public data sets: one reader and one card each, a manifest out; audit and splits."""

from leukopy.datasets.cards import DATASETS, Dataset, DatasetCard
from leukopy.datasets.manifest import MANIFEST_SCHEMA, read_manifest, write_manifest
from leukopy.datasets.opening import open_dataset

__all__ = [
    "DATASETS",
    "MANIFEST_SCHEMA",
    "Dataset",
    "DatasetCard",
    "open_dataset",
    "read_manifest",
    "write_manifest",
]
