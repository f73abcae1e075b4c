"""Check whole slides before they are analysed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from leukopy.core.progress import Progress, silent

if TYPE_CHECKING:
    from leukopy.fields.check import SlideCheck


def check_slides(paths: Sequence[Path], *, progress: Progress = silent) -> list[SlideCheck]:
    """Check slides in their order.

    Args:
        paths: files, or folders of a DICOM series.
        progress: reports the slides checked.
    """
    from leukopy.fields.check import check_slide

    found = []
    progress("checking slides", 0, len(paths))
    for path in paths:
        found.append(check_slide(path))
        progress("checking slides", len(found), len(paths))
    return found
