"""Images in, numbers out, at the speed of the machine and in constant memory.

Every worker thread reads a small batch and runs the network on it by itself. While one thread waits for the disk or
holds the interpreter, the others compute. In contrast to one multi-threaded network behind a decoding pool, no
hand-over between threads is needed, and small batches stay in the processor's cache.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray
from PIL import Image

from leukopy.bundle import NetworkFile
from leukopy.core.devices import Device
from leukopy.core.errors import BundleError, ImageError
from leukopy.imaging.appearance import measure_appearance
from leukopy.imaging.content import CELL, SEVERAL_CELLS, Content, contents
from leukopy.imaging.decode import CellImage, Picture, prepare
from leukopy.imaging.overview import overview
from leukopy.imaging.preprocess import Preprocess
from leukopy.inference import openvino
from leukopy.inference.pictures import Pictures
from leukopy.inference.rows import CellInput
from leukopy.inference.sessions import ORT_ERRORS, open_in_openvino, open_on_device, open_session
from leukopy.taxonomy import FINE

T = TypeVar("T")

BATCH = 16
"""Images per run of the network. In 8-bit integers 16 cost 4 % less per image than 8; in floating point the cache is
exceeded from 32 on. The results are the same bit for bit in any batch."""

VIEW = 192
"""Short side, in pixels, of the picture of a cell for people and for its reasons."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Results of some inputs, in their order."""

    cells: list[CellInput]
    """Readable inputs: N of them."""
    sizes: list[tuple[int, int]]
    """Width and height in pixels, as stored."""
    digests: list[str]
    outputs: dict[str, NDArray[np.float32]]
    """Outputs by name, each with N rows."""
    failures: list[tuple[CellInput, ImageError]]
    appearance: NDArray[np.float32]
    """(N, A), from `measure_appearance`; (N, 0) where not requested."""
    views: list[Image.Image]
    """RGB pictures, reduced to a short side of ``VIEW`` to 2 ``VIEW`` pixels; empty where not requested."""
    contents: list[Content]
    """Content of each picture; ``cell`` for all where not requested."""

    def __len__(self) -> int:
        """Number of inputs, readable or not."""
        return len(self.cells) + len(self.failures)

    def singles(self) -> Iterator[tuple[CellInput, Batch]]:
        """Each input with its own results."""
        for row, cell in enumerate(self.cells):
            outputs = {name: values[row : row + 1] for name, values in self.outputs.items()}
            appearance, view = self.appearance[row : row + 1], self.views[row : row + 1]
            one = [self.sizes[row]], [self.digests[row]], outputs
            yield cell, Batch([cell], *one, [], appearance, view, [self.contents[row]])
        none = {name: values[:0] for name, values in self.outputs.items()}
        for failure in self.failures:
            yield failure[0], Batch([], [], [], none, [failure], self.appearance[:0], [], [])


def join(batches: Sequence[Batch], order: Sequence[CellInput]) -> Batch:
    """The results of several batches as one, in the order of their inputs.

    Args:
        batches: one or more.
        order: the inputs of all of them, each once.
    """
    place = {cell: index for index, cell in enumerate(order)}
    cells = [cell for batch in batches for cell in batch.cells]
    rows = sorted(range(len(cells)), key=lambda row: place[cells[row]])

    def ordered(lists: Iterable[list[T]]) -> list[T]:
        values = [value for each in lists for value in each]
        return [values[row] for row in rows] if values else []

    return Batch(
        cells=ordered(batch.cells for batch in batches),
        sizes=ordered(batch.sizes for batch in batches),
        digests=ordered(batch.digests for batch in batches),
        outputs={name: np.concatenate([batch.outputs[name] for batch in batches])[rows] for name in batches[0].outputs},
        failures=sorted((one for batch in batches for one in batch.failures), key=lambda one: place[one[0]]),
        appearance=np.concatenate([batch.appearance for batch in batches])[rows],
        views=ordered(batch.views for batch in batches),
        contents=ordered(batch.contents for batch in batches),
    )


Beside = Literal["appearance", "views", "content"]


class Engine:
    """The loaded network of a bundle's cells."""

    def __init__(
        self,
        network: NetworkFile,
        threads: int | None = None,
        outputs: Sequence[str] = ("logits",),
        *,
        beside: Collection[Beside] = (),
        device: Device = "cpu",
    ) -> None:
        """Load the network.

        Args:
            network: the network of an opened bundle.
            threads: worker threads; by default one for each core that this process may use.
            outputs: outputs to read from the network, named as in `Bundle.model_path`.
            beside: further results of a `Batch`: the appearance of the pictures, small views of them, their content
                (Romanowsky stains only).
            device: runs the network; `Engine.device` tells the one in use.

        Raises:
            BundleError: the network cannot be loaded, violates the contract of a bundle's network, or lacks one of
                ``outputs``.
            SettingsError: the environment asks for an unknown runtime, or for OpenVINO beside an accelerator.
            MissingExtraError: the environment asks for a runtime that is not installed.
        """
        self.threads = threads or cpu_count()
        self._appearance, self._views, self._content = (name in beside for name in get_args(Beside))
        self._path, self._spec = network.path, network.preprocess
        self._network = open_session(self._path, network.sha256)
        _check_contract(self._network, network)
        shapes = {node.name: node.shape[1:] for node in self._network.get_outputs()}
        if absent := [name for name in outputs if name not in shapes]:
            raise BundleError(
                f"{self._path}: gives no {' and no '.join(absent)}, only {', '.join(shapes)}. "
                "Use a bundle that does, or export this one again."
            )
        self._empty = {name: np.empty((0, *shapes[name]), np.float32) for name in outputs}
        self._session, self.device = open_on_device(self._path, network.sha256, device)
        if openvino.asked_for():
            self._session = open_in_openvino(self._path, network.sha256, tuple(outputs), BATCH, self.threads)

    def shape(self, output: str) -> tuple[int, ...]:
        """Shape of one row of an output."""
        shape: tuple[int, ...] = self._empty[output].shape[1:]
        return shape

    def constant(self, output: str) -> NDArray[np.float32]:
        """An output that is independent of the pictures.

        Raises:
            BundleError: the network has no such output, or fails.
        """
        side = self._spec.size
        try:
            found = self._network.run([output], {"images": np.zeros((1, side, side, 3), np.uint8)})[0]
        except (ValueError, *ORT_ERRORS) as error:
            raise BundleError(f"{self._path}: gives no {output}. Export the bundle again.") from error
        return np.asarray(found, np.float32)

    def run(
        self,
        cells: Iterable[CellInput],
        crop: float | None = None,
        read: Callable[[CellInput, int], Picture] | None = None,
    ) -> Iterator[Batch]:
        """Classify ``cells`` in their order; memory holds only some batches per thread.

        Args:
            cells: image files.
            crop: share of their short side to keep; by default the crop of the bundle's card.
            read: reads the picture of a cell for a short side; by default from its file.

        Raises:
            BundleError: the network fails on an image, or gives numbers that are not finite.
        """
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="leukopy")
        running: deque[Future[Batch]] = deque()
        spec = self._spec if crop is None else self._spec.model_copy(update={"crop": crop})
        try:
            for batch in _batches(cells):
                running.append(pool.submit(self._classify, batch, spec, read or Pictures(0).take))
                if len(running) > 2 * self.threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _classify(
        self, inputs: Sequence[CellInput], spec: Preprocess, read: Callable[[CellInput, int], Picture]
    ) -> Batch:
        cells: list[CellInput] = []
        images: list[CellImage] = []
        views: list[Image.Image] = []
        overviews: list[NDArray[np.uint8]] = []
        failures: list[tuple[CellInput, ImageError]] = []
        for cell in inputs:
            try:
                picture = read(cell, spec.short_side)
            except ImageError as error:
                failures.append((cell, error))
                continue
            cells.append(cell)
            images.append(prepare(picture, spec))
            if self._views:
                views.append(_view(picture.image))
            if self._content:
                overviews.append(overview(picture.image))
        side = spec.size
        pixels = np.stack([image.pixels for image in images]) if images else np.empty((0, side, side, 3), np.uint8)
        sizes = [(image.width, image.height) for image in images]
        return Batch(
            cells=cells,
            sizes=sizes,
            digests=[image.digest for image in images],
            outputs=self.compute(pixels),
            failures=failures,
            appearance=measure_appearance(pixels) if self._appearance else np.empty((len(images), 0), np.float32),
            views=views,
            contents=_contents(cells, overviews, sizes) if overviews else [CELL] * len(cells),
        )

    def compute(self, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """The outputs for prepared pictures, uint8 (N, S, S, 3), all in one run of the network.

        Raises:
            BundleError: the network fails, or gives numbers that are not finite.
        """
        if not len(pixels):
            return self._empty
        names = list(self._empty)
        try:
            values: list[NDArray[np.float32]] = self._session.run(names, {"images": pixels})
        except ORT_ERRORS as error:
            raise BundleError(f"{self._path}: the network fails to run. Export the bundle again.") from error
        if not all(np.isfinite(value).all() for value in values):
            raise BundleError(f"{self._path}: the network gives numbers that are not finite. Train it again.")
        return dict(zip(names, values, strict=True))


def _contents(
    cells: Sequence[CellInput], overviews: Sequence[NDArray[np.uint8]], sizes: Sequence[tuple[int, int]]
) -> list[Content]:
    """Content of each picture. A detector found each cell of a field: its neighbours make no field of its picture."""
    found = contents(np.stack(overviews), np.array(sizes))
    return [CELL if cell.field and one.kind == SEVERAL_CELLS else one for cell, one in zip(cells, found, strict=True)]


def _view(picture: Image.Image) -> Image.Image:
    step = min(picture.size) // VIEW
    return picture.reduce(step) if step > 1 else picture


def _batches(cells: Iterable[CellInput]) -> Iterator[list[CellInput]]:
    rest = iter(cells)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _check_contract(session: Any, network: NetworkFile) -> None:
    """Refuse a network whose input or output violates the contract of `Bundle.model_path`."""
    side = network.preprocess.size
    inputs = {node.name: (node.type, node.shape[1:]) for node in session.get_inputs()}
    outputs = {node.name: (node.type, node.shape[1:]) for node in session.get_outputs()}
    classes = ("tensor(float)", [len(FINE)])
    if inputs != {"images": ("tensor(uint8)", [side, side, 3])} or any(
        outputs.get(name) != classes for name in network.outputs
    ):
        promised = f" and {len(FINE)} logits" if network.outputs else ""
        raise BundleError(
            f"{network.path}: takes {inputs} and gives {list(outputs)}, not uint8 images of {side} x {side} px"
            f"{promised}. Export the bundle again."
        )
