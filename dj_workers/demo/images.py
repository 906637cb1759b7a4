"""The input: photographs that come with scikit-image, and one that is broken on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

LONGEST_SIDE = 640  # pixels; a larger photograph is scaled down to it, so that a job takes about a second


@dataclass(frozen=True)
class Photograph:
    """One that lies in the wheel of scikit-image, so that nothing is downloaded."""

    image_id: int
    source: str  # the function of `skimage.data`
    title: str


PHOTOGRAPHS = tuple(
    Photograph(image_id, source, title)
    for image_id, (source, title) in enumerate(
        (
            ("hubble_deep_field", "Hubble deep field"),
            ("coins", "Coins from Pompeii"),
            ("moon", "Surface of the moon"),
            ("retina", "Retina"),
            ("immunohistochemistry", "Stained tissue"),
            ("rocket", "Rocket at its launch pad"),
            ("astronaut", "Astronaut"),
            ("camera", "Man with a camera"),
            ("coffee", "Cup of coffee"),
            ("cell", "Cell under the microscope"),
            ("gravel", "Gravel"),
        ),
        start=1,
    )
)
BROKEN_ID = 99
BROKEN_TITLE = "Torn frame (broken on purpose)"


def rows(n_photographs: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of `Image`: so many photographs, or all of them, and the broken one."""
    for photograph in PHOTOGRAPHS[:n_photographs]:
        yield {
            "image_id": photograph.image_id,
            "title": photograph.title,
            "pixels": _pixels(photograph.source),
        }
    yield {"image_id": BROKEN_ID, "title": BROKEN_TITLE, "pixels": _torn(_pixels(PHOTOGRAPHS[0].source))}


def _pixels(source: str) -> Any:
    """Return a photograph in shades of grey from 0 to 1, as float32."""
    import skimage.data
    from skimage import color, transform, util

    image = util.img_as_float32(getattr(skimage.data, source)())
    if image.ndim == 3:
        image = color.rgb2gray(image)
    scale = LONGEST_SIDE / max(image.shape)
    if scale < 1:
        image = transform.rescale(image, scale, anti_aliasing=True)
    return image.astype(np.float32)


def _torn(pixels: Any) -> Any:
    """Return a copy whose lower right corner is missing."""
    n_rows, n_columns = pixels.shape
    down, across = np.ogrid[:n_rows, :n_columns]
    return np.where(down / n_rows + across / n_columns > 1.6, np.float32("nan"), pixels)
