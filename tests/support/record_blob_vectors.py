"""Record what the peer packs and reads: `PEER/bin/python tests/support/record_blob_vectors.py OUTPUT.json`.

To be run in an environment that has the package `datajoint` 2.3.5, never in our own.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

# Imported by name, since within this project both names mean something else than they do here.
blob_cases = importlib.import_module("blob_cases")
blob = importlib.import_module("datajoint.blob")


def record() -> dict[str, Any]:
    """Return the bytes of every value, and what the peer reads from all bytes."""
    packed = {
        name: {
            "bytes": blob.pack(value, compress=False).hex(),
            "compressed": blob.pack(value).hex(),
            "reading": blob_cases.describe(blob.unpack(blob.pack(value))),
        }
        for name, value in blob_cases.values().items()
    }
    read = {name: _readings(content) for name, content in blob_cases.matlab_blobs().items()}
    vars(blob)["use_32bit_dims"] = True
    read |= {name: _readings(content) for name, content in blob_cases.matlab_blobs_of_32_bits().items()}
    return {"peer": importlib.metadata.version("datajoint"), "packed": packed, "read": read}


def _readings(content: bytes) -> dict[str, object]:
    return {
        "bytes": content.hex(),
        "reading": blob_cases.describe(blob.unpack(content)),
        "squeezed": blob_cases.describe(blob.unpack(content, squeeze=True)),
    }


def _lines(vectors: dict[str, dict[str, object]]) -> str:
    """Render a vector a line, so that a difference can be read."""
    return ",\n".join(f"{json.dumps(name)}: {json.dumps(vector)}" for name, vector in vectors.items())


if __name__ == "__main__":
    recorded = record()
    sections = ",\n".join(
        f"{json.dumps(name)}: {{\n{_lines(recorded[name])}\n}}" for name in ("packed", "read")
    )
    Path(sys.argv[1]).write_text(f"{{{json.dumps('peer')}: {json.dumps(recorded['peer'])},\n{sections}}}\n")
