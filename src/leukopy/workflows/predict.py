"""Classification without a report: one row per cell, streamed to a file or to standard output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

from pydantic import Field

from leukopy.core.devices import Device
from leukopy.core.errors import SettingsError
from leukopy.core.files import output_error
from leukopy.core.progress import Progress, silent
from leukopy.core.settings import Settings, Shown

if TYPE_CHECKING:
    import polars as pl

    from leukopy.inference.rows import Predictions
    from leukopy.slides.record import SlideRecord


class PredictSettings(Settings):
    """Settings of `predict`."""

    input: Path
    """A folder of cell images, a list (.txt), a manifest (.csv, .parquet), or one image."""
    slides: bool = False
    """Each sub-folder is one slide. A manifest with a column `slide` holds several slides by itself."""
    model: str = "default"
    """A bundled model, or a bundle folder."""
    classes: Literal["all", "healthy"] = "all"
    """all: with blasts and smudge cells; healthy: only the classes of healthy blood."""
    threads: Annotated[int | None, Shown("one per core")] = Field(default=None, ge=1)
    """Worker threads. The results do not depend on them."""
    device: Device = "auto"
    """Device that runs the network. If it is missing, the CPU runs the network and a note says so."""


@dataclass(frozen=True)
class PredictResult:
    """Number of classified cells, and the failures."""

    cells: int
    failures: pl.DataFrame
    """Rows of ``FAILURE_SCHEMA``."""
    slides: dict[str, SlideRecord]
    """Record of each slide's pictures by its name; "" for a single slide without a name."""
    note: str = ""
    """Note on further files beside the cells, and on the device."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings about the results."""
        of_slides = (
            f"{name}: {note}" if name else note
            for name, one in self.slides.items()
            for note in (*one.picture_notes, *one.notes)
        )
        return (*of_slides, *filter(None, (self.note,)))

    @property
    def complete(self) -> bool:
        """True where every image was read and every slide has trustworthy cells."""
        return self.failures.is_empty() and not any(one.refused for one in self.slides.values())


def predict(settings: PredictSettings, out: Path | BinaryIO, *, progress: Progress = silent) -> PredictResult:
    """Classify every cell of ``settings.input`` and write its row, in constant memory.

    Args:
        settings: the settings.
        out: a ``.csv`` or ``.parquet`` file, which is whole or absent; or a stream that gets CSV as it is made.
        progress: reports the cells classified.

    Raises:
        InputError: nothing to read at ``settings.input``, or a manifest that is wrong.
        BundleError: the model is absent, broken or foreign.
        SettingsError: ``out`` is neither ``.csv`` nor ``.parquet``.
        OutputError: ``out`` cannot be written.
    """
    import polars as pl

    from leukopy.inference.inputs import list_inputs
    from leukopy.inference.rows import FAILURE_SCHEMA
    from leukopy.slides.classifier import Classifier
    from leukopy.slides.tracked import TrackedSlide

    if isinstance(out, Path) and out.suffix not in (".csv", ".parquet"):
        raise SettingsError(f"{out}: rows are written as .csv or .parquet. Choose one of these suffixes.")
    inputs = list_inputs(settings.input, slides=settings.slides)
    classifier = Classifier.open(settings.model, settings.threads, settings.device, classes=settings.classes)
    done, failures = 0, [pl.DataFrame(schema=FAILURE_SCHEMA)]
    records: dict[str, SlideRecord] = {}
    with _writer(out) as write:
        for name, cells in inputs.by_slide().items():
            tracked = TrackedSlide(classifier, cells)
            with closing(tracked.rows()) as stream:
                for predictions in stream:
                    write(predictions)
                    failures.append(predictions.failures)
                    done += len(predictions)
                    progress("classifying", done, len(inputs.cells))
            records[name] = tracked.record()
    note = " ".join(filter(None, (inputs.others.note, classifier.device.note)))
    failed = pl.concat(failures)
    return PredictResult(done - len(failed), failed, records, note)


@contextmanager
def _writer(out: Path | BinaryIO) -> Iterator[Callable[[Predictions], None]]:
    """Writer of the streamed rows."""
    from leukopy.slides.result_parts import ResultParts

    if not isinstance(out, Path):
        headers = chain([True], repeat(False))
        yield lambda rows: _send(out, rows.cells.write_csv(include_header=next(headers), float_precision=6))
        return
    with _scratch_folder(out) as scratch:
        parts = ResultParts(scratch)
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
