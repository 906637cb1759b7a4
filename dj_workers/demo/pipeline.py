"""A pipeline as its users write one: photographs, ways to look for blobs in them, and what was found.

It knows nothing of the demonstration around it: where the database is, and how long a lease lasts, are
settings of the folder that it runs in.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage.feature import blob_log

import datajoint as dj

schema = dj.Schema("demo_blobs")


@schema
class Image(dj.Manual):
    definition = """
    # Photographs in shades of grey
    image_id : uint8
    ---
    title    : varchar(60)
    pixels   : <blob>           # rows x columns, float32, 0 (black) to 1 (white)
    """


@schema
class DetectionParams(dj.Lookup):
    definition = """
    # What counts as a blob
    params_id : uint8
    ---
    name      : varchar(20)
    min_sigma : float32         # pixels, of the smallest blob
    max_sigma : float32         # pixels, of the largest
    threshold : float32         # how much a blob has to stand out
    """
    contents = (
        (1, "fine", 2.0, 6.0, 0.15),
        (2, "medium", 4.0, 12.0, 0.10),
        (3, "coarse", 8.0, 24.0, 0.10),
    )


@schema
class Detection(dj.Computed):
    definition = """
    # The bright blobs of a photograph, for each way to look for them
    -> Image
    -> DetectionParams
    ---
    n_blobs : uint16
    """

    class Blob(dj.Part):
        definition = """
        -> master
        blob   : uint16
        ---
        y      : float32        # pixels from the top
        x      : float32        # pixels from the left
        radius : float32        # pixels
        """

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        pixels = (Image & key).fetch1("pixels")
        params = (DetectionParams & key).fetch1("min_sigma", "max_sigma", "threshold")
        return (pixels, *params)

    def make_compute(
        self, key: dict[str, Any], pixels: Any, min_sigma: float, max_sigma: float, threshold: float
    ) -> tuple[Any, ...]:
        n_missing = int(np.isnan(pixels).sum())
        if n_missing:
            raise ValueError(f"image {key['image_id']} has {n_missing:,} pixels without a value")
        blobs = blob_log(
            pixels, min_sigma=min_sigma, max_sigma=max_sigma, num_sigma=16, threshold=threshold, overlap=0.3
        )
        blobs[:, 2] *= np.sqrt(2)  # the radius of a blob of that sigma
        return (blobs,)

    def make_insert(self, key: dict[str, Any], blobs: Any) -> None:
        self.insert1({**key, "n_blobs": len(blobs)})
        self.Blob.insert(
            {**key, "blob": i, "y": y, "x": x, "radius": radius} for i, (y, x, radius) in enumerate(blobs)
        )


@schema
class BestDetection(dj.Computed):
    definition = """
    # For each photograph the detection whose blobs hold the most light that their surroundings lack
    -> Image
    ---
    -> Detection
    light : float32             # of a photograph that is all white: 1
    """

    @property
    def key_source(self) -> Any:
        """Photographs that have been looked at in every way."""
        return Image.aggr(Detection, n_ways="count(*)") & {"n_ways": len(DetectionParams())}

    def make(self, key: dict[str, Any]) -> None:
        pixels = (Image & key).fetch1("pixels")
        light = {
            params_id: sum(_excess_light(pixels, *blob) for blob in self._blobs(key, params_id)) / pixels.size
            for params_id in DetectionParams.to_arrays("params_id")
        }
        best = max(light, key=lambda params_id: light[params_id])
        self.insert1({**key, "params_id": best, "light": light[best]})

    @staticmethod
    def _blobs(key: dict[str, Any], params_id: int) -> Any:
        found = Detection.Blob & key & {"params_id": params_id}
        return zip(*found.to_arrays("y", "x", "radius"), strict=True)


def _excess_light(pixels: Any, y: float, x: float, radius: float) -> float:
    """Return how much more light a disk holds than it would if it were as bright as the ring around it."""
    reach = 1.5 * radius
    top, left = max(0, int(y - reach)), max(0, int(x - reach))
    window = pixels[top : int(y + reach) + 2, left : int(x + reach) + 2]
    rows, columns = np.ogrid[: window.shape[0], : window.shape[1]]
    distance = np.hypot(rows + top - y, columns + left - x)
    disk = window[distance <= radius]
    ring = window[(distance > radius) & (distance <= reach)]
    return float((disk.mean() - ring.mean()) * disk.size) if disk.size and ring.size else 0.0
