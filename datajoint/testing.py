"""Computing here and now, by a clock that can be moved, for the tests of a pipeline."""

from dj_workers.testing import Clock as Clock
from dj_workers.testing import clock as clock
from dj_workers.testing import drain as drain
from dj_workers.testing import inline as inline
