"""Show a diagram to who asks for it: in a notebook, or in a window."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from dj_schema.errors import DataJointError

if TYPE_CHECKING:
    from dj_query.diagram import Diagram


def show_picture(diagram: Diagram) -> None:
    """Display the SVG in a notebook; elsewhere open a window.

    Raises
    ------
    DataJointError
        Where Graphviz or matplotlib is not installed.
    """
    if _is_notebook():
        import_module("IPython.display").display(diagram)
        return
    picture = diagram.make_png()
    try:
        from matplotlib import image, pyplot
    except ImportError as e:
        raise DataJointError(
            "matplotlib, which shows pictures outside of notebooks, is not installed; install it, or use "
            "diagram.save('diagram.svg')."
        ) from e
    pyplot.imshow(image.imread(io.BytesIO(picture), format="png"))
    pyplot.axis("off")
    pyplot.show()


def _is_notebook() -> bool:
    """Whether this is a kernel of Jupyter, which can show what a terminal cannot."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")
