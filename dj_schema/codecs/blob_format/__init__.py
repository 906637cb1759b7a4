"""The bytes of a `<blob>`: the `dj0` and `mYm` formats, which DataJoint for Python and for MATLAB share.

The layout was found by observing what the public package `datajoint` 2.3.5 writes and reads;
`tests/unit/codecs/peer_vectors.json` is the record of it.
"""

from dj_schema.codecs.blob_format.matlab import MatCell, MatStruct
from dj_schema.codecs.blob_format.pack import pack
from dj_schema.codecs.blob_format.unpack import unpack

__all__ = ["MatCell", "MatStruct", "pack", "unpack"]
