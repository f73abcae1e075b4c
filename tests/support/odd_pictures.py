"""Drawn pictures that are no blood film, and blood films as few cameras deliver them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Pixels = NDArray[np.uint8]

SIZE = (640, 480)
"""Width and height, in pixels."""


def noise(seed: int = 1) -> Pixels:
    """Independent bright pixels, as of a sensor in the dark with its gain turned up."""
    values = np.random.default_rng(seed).normal(200, 40, (SIZE[1], SIZE[0], 3))
    return values.clip(0, 255).astype(np.uint8)


def coloured_noise(seed: int = 1) -> Pixels:
    """Smooth blotches in the colours of a stain, of the size of platelets and nuclei."""
    rng = np.random.default_rng(seed)
    grain = [Image.fromarray(rng.integers(0, 256, (SIZE[1], SIZE[0]), dtype=np.uint8)) for _ in range(2)]
    blotches = (one.filter(ImageFilter.GaussianBlur(size)) for one, size in zip(grain, (3, 9), strict=True))
    soft = [np.asarray(one, float) for one in blotches]
    first, second = ((one - one.mean()) / one.std() for one in soft)
    mixed = np.stack([210 + 25 * first, 180 + 30 * second, 215 + 15 * first], axis=2)
    return mixed.clip(0, 255).astype(np.uint8)


def text() -> Pixels:
    """A page of a report."""
    page = Image.new("RGB", SIZE, (250, 250, 248))
    draw = ImageDraw.Draw(page)
    for line in range(26):
        words = f"{line + 1:>3}. Leukocytes 6.{line % 10} 10^9/L, platelets {200 + line}"
        draw.text((20, 14 + 17 * line), words, (20, 20, 60), font_size=13)
    return np.asarray(page)


def face() -> Pixels:
    """A face: skin, eyes, mouth, hair."""
    page = Image.new("RGB", SIZE, (120, 150, 190))
    draw = ImageDraw.Draw(page)
    draw.ellipse((190, 40, 450, 460), (224, 172, 145))
    draw.pieslice((180, 20, 460, 300), 180, 360, (60, 40, 30))
    for x in (265, 375):
        draw.ellipse((x - 28, 190, x + 28, 222), (250, 250, 250))
        draw.ellipse((x - 12, 194, x + 12, 218), (70, 50, 110))
    draw.polygon([(320, 215), (300, 300), (340, 300)], (205, 150, 125))
    draw.ellipse((265, 340, 375, 380), (180, 70, 80))
    return np.asarray(page.filter(ImageFilter.GaussianBlur(2)))


def organ(seed: int = 1) -> Pixels:
    """A section of a tissue in haematoxylin and eosin: packed oval nuclei in a pink fibrous ground."""
    rng = np.random.default_rng(seed)
    grain = Image.fromarray(rng.integers(0, 256, (SIZE[1] // 8, SIZE[0] // 2), dtype=np.uint8)).resize(SIZE)
    fibre = (np.asarray(grain.filter(ImageFilter.GaussianBlur(2)), float) - 128) / 128
    ground = np.stack([225 + 18 * fibre, 150 + 40 * fibre, 190 + 25 * fibre], axis=2).clip(0, 255).astype(np.uint8)
    page = Image.fromarray(ground)
    draw = ImageDraw.Draw(page)
    for x, y in rng.uniform(0, 1, (420, 2)) * SIZE:
        wide, high = rng.uniform(6, 12, 2)
        tone = int(rng.integers(-15, 15))
        draw.ellipse((x - wide, y - high, x + wide, y + high), (105 + tone, 70 + tone, 145 + tone))
    return np.asarray(page.filter(ImageFilter.GaussianBlur(1)))


NO_SMEAR = {"noise": noise, "coloured noise": coloured_noise, "text": text, "face": face, "organ": organ}
"""Name -> picture that is no blood film."""
