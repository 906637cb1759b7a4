"""The photographs with their blobs drawn over them, as a file."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

_COLUMNS = 4
_COLOUR = "#ff4b3e"


def draw(pipeline: ModuleType, path: Path) -> int:
    """Write a PNG with a panel a photograph that has a best detection; return how many there are."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # needs no screen
    from matplotlib.figure import Figure

    sets = pipeline.DetectionParams.proj(set_name="name")
    best = pipeline.Image.proj("title") * pipeline.BestDetection * pipeline.Detection * sets
    rows = best.to_dicts(order_by="KEY")
    n_lines = max(1, -(-len(rows) // _COLUMNS))
    figure = Figure(figsize=(4 * _COLUMNS, 3.6 * n_lines), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(n_lines, _COLUMNS, squeeze=False).ravel()
    for panel in panels:
        panel.axis("off")
    for panel, row in zip(panels, rows, strict=False):
        _draw_panel(pipeline, panel, row)
    figure.savefig(path, dpi=110)
    return len(rows)


def _draw_panel(pipeline: ModuleType, panel: Any, row: dict[str, Any]) -> None:
    from matplotlib.collections import EllipseCollection

    key = {"image_id": row["image_id"]}
    panel.imshow((pipeline.Image & key).fetch1("pixels"), cmap="gray", vmin=0, vmax=1)
    found = pipeline.Detection.Blob & key & {"params_id": row["params_id"]}
    y, x, radius = found.to_arrays("y", "x", "radius")
    circles = EllipseCollection(
        2 * radius,
        2 * radius,
        0 * radius,
        units="xy",
        offsets=list(zip(x, y, strict=True)),
        offset_transform=panel.transData,
        facecolors="none",
        edgecolors=_COLOUR,
        linewidths=1.1,
    )
    panel.add_collection(circles)
    panel.set_title(f"{row['title']}: {row['n_blobs']} blobs ({row['set_name']})", fontsize=11)
