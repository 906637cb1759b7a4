"""What MATLAB's own containers become in Python, told apart so that they can go back as what they were."""

from __future__ import annotations

from typing import Any

import numpy as np


class MatCell(np.ndarray[Any, np.dtype[np.object_]]):
    """A MATLAB cell array: an object array."""


class MatStruct(np.recarray[Any, Any]):
    """A MATLAB struct array: records whose fields are all objects."""
