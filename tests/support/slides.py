"""Whole slides written for tests."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

APERIO = "Aperio Image Library v12.0.15\r\n{width}x{height} [0,0 {width}x{height}] (256x256)|AppMag = 40|MPP = {scale}"


def smear(height: int = 900, width: int = 1300, seed: int = 1) -> Pixels:
    """Red discs at random on bright glass."""
    rng = np.random.default_rng(seed)
    disc = np.hypot(*np.mgrid[-15:16, -15:16]) < 15
    pixels = np.full((height, width, 3), (240, 232, 225), np.uint8)
    for row, column in (rng.uniform(0, 1, (height * width // 9_000, 2)) * (height - 31, width - 31)).astype(int):
        pixels[row : row + 31, column : column + 31][disc] = (200, 140, 150)
    return pixels + rng.integers(0, 8, pixels.shape, dtype=np.uint8)


def levels_of(pixels: Pixels, factors: tuple[int, ...] = (1, 4)) -> list[Pixels]:
    """The picture reduced by each factor."""
    return [np.asarray(Image.fromarray(pixels).reduce(factor)) for factor in factors]


def _tiles(pixels: NDArray[np.generic], tile: int) -> Iterator[bytes]:
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -height % tile), (0, -width % tile), (0, 0)), mode="edge")
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            stream = io.BytesIO()
            part = Image.fromarray(padded[top : top + tile, left : left + tile])
            part.save(stream, "JPEG", quality=95, subsampling="4:2:0")
            yield stream.getvalue()


def write_slide(
    path: Path,
    levels: list[Pixels],
    um_per_px: float | None = 0.25,
    *,
    tile: int = 256,
    compression: str | None = "zlib",
    **options: object,
) -> Path:
    """A tiled, pyramidal TIFF."""
    jpeg = compression == "jpeg"
    with tifffile.TiffWriter(path) as writer:
        for number, pixels in enumerate(levels):
            factor = levels[0].shape[1] / pixels.shape[1]
            scale = {} if um_per_px is None else {"resolution": (1e4 / um_per_px / factor,) * 2}
            writer.write(
                _tiles(pixels, tile) if jpeg else pixels,
                shape=pixels.shape,
                dtype=pixels.dtype,
                tile=(tile, tile),
                photometric="rgb",
                compression="zlib" if jpeg else compression,
                subfiletype=int(number > 0),
                metadata=None,
                resolutionunit="CENTIMETER",
                **scale,
                **options,  # type: ignore[arg-type]
            )
    if jpeg:  # tifffile itself encodes none
        with tifffile.TiffFile(path, mode="r+b") as tif:
            for page in tif.pages:
                page.tags["Compression"].overwrite(7)
                page.tags["PhotometricInterpretation"].overwrite(6)
    return path


def write_svs(path: Path, levels: list[Pixels], um_per_px: float = 0.25) -> Path:
    """A slide as Aperio's scanners write it."""
    height, width = levels[0].shape[:2]
    return write_slide(
        path, levels, None, description=APERIO.format(width=width, height=height, scale=um_per_px), compression="jpeg"
    )


def write_ome(path: Path, levels: list[Pixels], um_per_px: float = 0.25) -> Path:
    """An OME-TIFF whose smaller levels are sub-directories."""
    with tifffile.TiffWriter(path, ome=True) as writer:
        metadata = {"axes": "YXS", "PhysicalSizeX": um_per_px, "PhysicalSizeY": um_per_px}
        options = {"tile": (256, 256), "photometric": "rgb", "compression": "zlib"}
        writer.write(levels[0], subifds=len(levels) - 1, metadata=metadata, **options)  # type: ignore[arg-type]
        for pixels in levels[1:]:
            writer.write(pixels, subfiletype=1, **options)  # type: ignore[arg-type]
    return path


def write_dicom(folder: Path, levels: list[Pixels], um_per_px: float = 0.25, tile: int = 256) -> Path:
    """A DICOM series of a whole slide: one file for each level, its tiles in full (PS3.3, A.32.8)."""
    from pydicom.uid import generate_uid

    folder.mkdir(parents=True)
    study = {name: generate_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")}
    for number, pixels in enumerate(levels):
        scale = um_per_px * levels[0].shape[1] / pixels.shape[1] / 1000
        _dicom_level(pixels, number, study, scale, tile).save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return folder


def _dicom_level(pixels: Pixels, number: int, study: dict[str, str], mm_per_px: float, tile: int) -> Any:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.sequence import Sequence
    from pydicom.uid import ExplicitVRLittleEndian, VLWholeSlideMicroscopyImageStorage, generate_uid

    height, width = pixels.shape[:2]
    rows, columns = -(-height // tile), -(-width // tile)
    padded = np.pad(pixels, ((0, rows * tile - height), (0, columns * tile - width), (0, 0)), mode="edge")
    measures, group, path = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [mm_per_px, mm_per_px], 0.001
    group.PixelMeasuresSequence = Sequence([measures])
    path.OpticalPathIdentifier, path.ObjectiveLensPower = "1", 40
    values = {
        **study, "SOPClassUID": VLWholeSlideMicroscopyImageStorage, "SOPInstanceUID": generate_uid(), "Modality": "SM",
        "SeriesNumber": 1, "InstanceNumber": number + 1, "DimensionOrganizationType": "TILED_FULL",
        "ImageType": ["DERIVED" if number else "ORIGINAL", "PRIMARY", "VOLUME", "RESAMPLED" if number else "NONE"],
        "TotalPixelMatrixColumns": width, "TotalPixelMatrixRows": height, "TotalPixelMatrixFocalPlanes": 1,
        "NumberOfOpticalPaths": 1, "Rows": tile, "Columns": tile, "NumberOfFrames": rows * columns,
        "SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0, "BitsAllocated": 8,
        "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0, "ImagedVolumeDepth": 0.001,
        "ImagedVolumeWidth": width * mm_per_px, "ImagedVolumeHeight": height * mm_per_px,
        "SharedFunctionalGroupsSequence": Sequence([group]), "OpticalPathSequence": Sequence([path]),
        "PixelData": padded.reshape(rows, tile, columns, tile, 3).swapaxes(1, 2).tobytes(),
    }  # fmt: skip
    level = Dataset()
    for name, value in values.items():
        setattr(level, name, value)
    level.file_meta = FileMetaDataset()
    level.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    level.file_meta.MediaStorageSOPClassUID = level.SOPClassUID
    level.file_meta.MediaStorageSOPInstanceUID = level.SOPInstanceUID
    return level


def draw_svs(folder: Path) -> Path:
    """A small drawn slide as Aperio's scanners write it, with blood that the bundled detector knows."""
    from leukopy.workflows.draw_slide import DrawSlideSettings, draw_slide

    drawn = draw_slide(DrawSlideSettings(width=5120, height=3072, variants=1, leukocytes=8, seed=3), folder / "drawn")
    return write_svs(folder / "slide.svs", levels_of(tifffile.imread(drawn.slide, level=0), (1, 4, 16)))
