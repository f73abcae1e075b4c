"""Public data sets: one reader and one card each, a manifest out; audit and splits."""

from leukopy.datasets.audit import Audit, audit, count_classes, describe_duplicates, write_audit
from leukopy.datasets.cards import DATASETS, Dataset, DatasetCard
from leukopy.datasets.duplicates import clusters, find_duplicates
from leukopy.datasets.manifest import (
    MANIFEST_SCHEMA,
    read_annotators,
    read_manifest,
    read_second_labels,
    write_manifest,
)
from leukopy.datasets.open import open_dataset
from leukopy.datasets.probe import FileProbe, probe_file
from leukopy.datasets.readers import leftovers
from leukopy.datasets.splits import check_fractions, split

__all__ = [
    "DATASETS",
    "MANIFEST_SCHEMA",
    "Audit",
    "Dataset",
    "DatasetCard",
    "FileProbe",
    "audit",
    "check_fractions",
    "clusters",
    "count_classes",
    "describe_duplicates",
    "find_duplicates",
    "leftovers",
    "open_dataset",
    "probe_file",
    "read_annotators",
    "read_manifest",
    "read_second_labels",
    "split",
    "write_audit",
    "write_manifest",
]
