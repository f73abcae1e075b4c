"""Rows only: the class of every cell, streamed to a file or to whoever reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO

from pydantic import Field

from leukopy.core.errors import SettingsError
from leukopy.core.files import output_error
from leukopy.core.progress import Progress, silent
from leukopy.core.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from leukopy.inference.rows import Predictions
    from leukopy.slides.laboratory_check import SlideDistance


class PredictSettings(Settings):
    """All that decides what `predict` gives."""

    input: Path
    """A folder, a list (.txt), a manifest (.csv, .parquet) or one image."""
    model: str = "default"
    """Name of a bundled model, or a bundle folder."""
    threads: int | None = Field(default=None, ge=1)
    """None: one for each core that the process may use. The results do not depend on it."""


@dataclass(frozen=True)
class PredictResult:
    """How many cells were classified, and those that were not."""

    cells: int
    failures: pl.DataFrame
    """Rows of ``FAILURE_SCHEMA``."""
    slide: SlideDistance | None
    """How far the slide is from the laboratories of the training; None where nothing can be said."""


def predict(settings: PredictSettings, out: Path | BinaryIO, *, progress: Progress = silent) -> PredictResult:
    """Classify every cell of ``settings.input`` and write its row, in constant memory.

    Args:
        settings: what to classify.
        out: a ``.csv`` or ``.parquet`` file, which is whole or absent; or a stream that gets CSV as it is made.
        progress: told of the cells classified.

    Raises:
        InputError: nothing to read at ``settings.input``, or a manifest that is wrong.
        BundleError: the model is absent, broken or foreign.
        SettingsError: ``out`` is neither ``.csv`` nor ``.parquet``.
        OutputError: ``out`` cannot be written.
    """
    import polars as pl

    from leukopy.inference.inputs import list_inputs
    from leukopy.inference.rows import FAILURE_SCHEMA
    from leukopy.slides.laboratory_check import AppearanceSum, nearest_laboratory
    from leukopy.slides.reader import Classifier

    if isinstance(out, Path) and out.suffix not in (".csv", ".parquet"):
        raise SettingsError(f"{out}: rows are written as .csv or .parquet. Choose one of these suffixes.")
    inputs = list_inputs(settings.input).cells
    classifier = Classifier.open(settings.model, settings.threads)
    done, appearance = 0, AppearanceSum()
    failures = [pl.DataFrame(schema=FAILURE_SCHEMA)]
    with _writer(out) as write, closing(classifier.stream(inputs, classifier.survey(inputs))) as stream:
        for predictions in stream:
            write(predictions)
            failures.append(predictions.failures)
            appearance.add(predictions.appearance)
            done += len(predictions.cells) + len(predictions.failures)
            progress("classifying", done, len(inputs))
    failed = pl.concat(failures)
    return PredictResult(done - len(failed), failed, nearest_laboratory(appearance, classifier.card.slide_check))


@contextmanager
def _writer(out: Path | BinaryIO) -> Iterator[Callable[[Predictions], None]]:
    """What takes the rows as they come."""
    from leukopy.slides.result_parts import Parts

    if not isinstance(out, Path):
        headers = chain([True], repeat(False))
        yield lambda rows: _send(out, rows.cells.write_csv(include_header=next(headers), float_precision=6))
        return
    with _scratch_folder(out) as scratch:
        parts = Parts(scratch)
        try:
            yield parts.add
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(f"{out} was not written.") from interrupt
        parts.flush()
        parts.write_cells(out)


def _send(out: BinaryIO, text: str) -> None:
    """Write now, so that a full disk or a reader that is gone is met here and not when Python ends."""
    try:
        out.write(text.encode())
        out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise output_error(Path("standard output"), error) from error


@contextmanager
def _scratch_folder(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` that is gone afterwards.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        scratch = TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent)
    except OSError as error:
        raise output_error(out, error) from error
    with scratch as folder:
        yield Path(folder)
