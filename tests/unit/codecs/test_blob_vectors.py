"""What the peer wrote is what we write, and reads as what the peer reads, by its recorded bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dj_schema.codecs.blob_format import MatCell, MatStruct, pack, unpack
from tests.support.blob_cases import describe, matlab_blobs, values

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("peer_vectors.json").read_text())
VALUES = values()
CONTAINERS_OF_MATLAB = [
    name for name in matlab_blobs() if name.startswith(("cell", "struct")) and "without" not in name
]


def test_every_value_has_a_vector() -> None:
    assert VALUES.keys() == VECTORS["packed"].keys()


@pytest.mark.parametrize("name", VALUES)
def test_a_value_packs_to_the_bytes_of_the_peer(name: str) -> None:
    assert pack(VALUES[name], compress=False).hex() == VECTORS["packed"][name]["bytes"]


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("form", ["bytes", "compressed"])
def test_bytes_of_the_peer_read_as_the_peer_reads_them(name: str, form: str) -> None:
    vector = VECTORS["packed"][name]
    assert describe(unpack(bytes.fromhex(vector[form]))) == vector["reading"]


@pytest.mark.parametrize("name", VALUES)
def test_what_we_compress_reads_as_what_the_peer_compressed(name: str) -> None:
    assert describe(unpack(pack(VALUES[name]))) == VECTORS["packed"][name]["reading"]


def test_a_long_blob_is_compressed_by_both() -> None:
    compressed = pack(VALUES["long array"])
    assert compressed.startswith(b"ZL123\0")
    assert bytes.fromhex(VECTORS["packed"]["long array"]["compressed"]).startswith(compressed[:14])


@pytest.mark.parametrize("name", VECTORS["read"])
def test_blobs_of_matlab_read_as_the_peer_reads_them(name: str) -> None:
    vector = VECTORS["read"][name]
    assert describe(unpack(bytes.fromhex(vector["bytes"]))) == vector["reading"]


@pytest.mark.parametrize("name", VECTORS["read"])
def test_blobs_of_matlab_squeeze_as_the_peer_squeezes_them(name: str) -> None:
    vector = VECTORS["read"][name]
    assert describe(unpack(bytes.fromhex(vector["bytes"]), squeeze=True)) == vector["squeezed"]


@pytest.mark.parametrize("name", CONTAINERS_OF_MATLAB)
def test_containers_of_matlab_go_back_as_what_they_were(name: str) -> None:
    packed = pack(unpack(matlab_blobs()[name]))
    assert pack(unpack(packed)) == packed
    assert isinstance(unpack(packed), MatCell if name.startswith("cell") else MatStruct)
