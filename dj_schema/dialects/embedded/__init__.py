"""A PostgreSQL of our own, from the binaries of a wheel, started when somebody needs it.

Here is how to open it: `EmbeddedServer.acquire()` gives a lease with an address. What is said to the
server after that is the PostgreSQL dialect's business.
"""

from __future__ import annotations

from dj_schema.dialects.embedded.folder import default_path
from dj_schema.dialects.embedded.programs import is_available
from dj_schema.dialects.embedded.server import EmbeddedAddress, EmbeddedLease, EmbeddedServer

__all__ = ["EmbeddedAddress", "EmbeddedLease", "EmbeddedServer", "default_path", "is_available"]
