"""Everything leukopy raises on purpose.

::

    LeukopyError
    ├── SettingsError        an option or a settings file is wrong
    ├── InputError           an input cannot be read
    │   ├── ImageError       one image cannot be decoded; carries a short ``reason``
    │   ├── ManifestError    a manifest lacks a column or is not a table
    │   └── UnknownLabelError  a label is missing from the taxonomy's map
    ├── BundleError          a model bundle is missing, broken or foreign
    ├── OutputError          the results cannot be written
    ├── TrainingError        a training run cannot start or continue
    └── MissingExtraError    the command needs an optional part of leukopy

A message says what, where, and what to do. A door prints it as one line and exits with ``EXIT_ERROR``.
"""

from __future__ import annotations

from collections.abc import Iterable

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_FAILURES = 3
"""The run finished, but some inputs failed: they are listed in ``failures.csv``. (2 is wrong usage.)"""
EXIT_INTERRUPTED = 130


class LeukopyError(Exception):
    """Base of all errors that leukopy raises on purpose."""


class SettingsError(LeukopyError):
    """An option or a settings file is wrong."""


class InputError(LeukopyError):
    """An input of the user cannot be read."""


class ImageError(InputError):
    """One image cannot be decoded.

    ``reason`` is a short fixed word for tables (``"not_an_image"``, ``"truncated"``, ``"too_large"`` …).
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ManifestError(InputError):
    """A manifest lacks a column or is not a table."""


class UnknownLabelError(InputError):
    """A label is missing from the label map."""

    def __init__(self, label: str, *, source: str, where: str, known: Iterable[str]) -> None:
        super().__init__(
            f"{where}: label {label!r} is unknown in {source!r}; known labels: {', '.join(sorted(known))}. "
            "Correct the label, leave it empty where the class is unknown, or give a label map: the name of a data "
            "set, or a table with columns label and code; a code with a name (column name) is a class of your own."
        )


class BundleError(LeukopyError):
    """A model bundle is missing, broken or foreign."""


class OutputError(LeukopyError):
    """The results cannot be written."""


class TrainingError(LeukopyError):
    """A training run cannot start or continue."""


class MissingExtraError(LeukopyError):
    """The command needs an optional part of leukopy that is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs leukopy's {extra!r} extra: pip install 'leukopy[{extra}]'")
