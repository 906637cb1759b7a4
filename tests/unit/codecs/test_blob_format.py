"""Blobs without the peer: every value comes back, what cannot is refused, and damage is an error of ours."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import fractions
import math
import random
import struct
import uuid
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st

from dj_schema.codecs.blob_format import pack, unpack
from dj_schema.errors import DataJointError
from tests.support.blob_cases import describe, matlab_blobs, matlab_blobs_of_32_bits, values

_hashable = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**200), 2**200),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.text(),
    st.binary(),
    st.decimals(allow_nan=False),
    st.datetimes(),
    st.dates(),
    st.times(),
    st.uuids(),
)
_nested = st.recursive(
    _hashable,
    lambda inner: st.one_of(
        st.lists(inner, max_size=20),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(_hashable, inner, max_size=5),
        st.sets(_hashable, max_size=5),
        st.lists(st.floats(allow_nan=False), min_size=14, max_size=20),
    ),
    max_leaves=20,
)
_number_dtypes = st.one_of(
    numpy_st.boolean_dtypes(),
    numpy_st.integer_dtypes(endianness="="),
    numpy_st.unsigned_integer_dtypes(endianness="="),
    numpy_st.floating_dtypes(endianness="=", sizes=(32, 64)),
    numpy_st.complex_number_dtypes(endianness="=", sizes=(64, 128)),
    numpy_st.datetime64_dtypes(endianness="="),
)
_field_names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
_record_dtypes = st.dictionaries(_field_names, _number_dtypes, min_size=1, max_size=4).map(
    lambda fields: np.dtype(list(fields.items()))
)
_shapes = numpy_st.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)


@given(_nested)
def test_nested_values_come_back(value: Any) -> None:
    again = unpack(pack(value))
    assert again == value
    assert type(again) is type(value)


@given(numpy_st.arrays(_number_dtypes, _shapes))
def test_arrays_of_numbers_come_back(value: np.ndarray[Any, Any]) -> None:
    for arrangement in (value, value.T, value[::-1], np.asfortranarray(value)):
        again = unpack(pack(arrangement))
        assert again.dtype == value.dtype
        np.testing.assert_array_equal(again, arrangement)


@given(numpy_st.arrays(np.dtype(object), _shapes, elements=_hashable))
def test_arrays_of_objects_come_back(value: np.ndarray[Any, Any]) -> None:
    again = unpack(pack(value))
    assert again.shape == value.shape
    assert again.tolist() == value.tolist()


@given(numpy_st.arrays(_record_dtypes, _shapes))
def test_records_come_back(value: np.ndarray[Any, Any]) -> None:
    again = unpack(pack(value))
    assert again.shape == value.shape
    assert again.dtype.names == value.dtype.names
    for name in value.dtype.names or ():
        assert again[name].dtype == value[name].dtype
        np.testing.assert_array_equal(again[name], value[name])


@pytest.mark.parametrize("dtype", [">i4", ">f8", ">c16", ">M8[us]", ">U3", "S3"])
def test_foreign_byte_orders_and_bytes_keep_their_values(dtype: str) -> None:
    value = np.array([1, 2, 3], "i8").astype(dtype)
    np.testing.assert_array_equal(unpack(pack(value)).astype(value.dtype), value)


def test_a_long_array_takes_the_direct_way_in_any_order() -> None:
    value = np.random.default_rng(0).normal(size=(300, 400))
    for arrangement in (value, value.T, value[:, ::2], value > 0, value.astype("M8[s]")):
        np.testing.assert_array_equal(unpack(pack(arrangement)), arrangement)


def test_an_array_is_read_without_a_copy() -> None:
    assert unpack(pack(np.arange(10))).flags.writeable is False


def test_an_infinite_part_leaves_the_other_part_alone() -> None:
    again = unpack(pack(np.array([complex(1, math.inf)])))
    assert again[0] == complex(1, math.inf)


def test_a_set_packs_to_the_same_bytes_in_any_order() -> None:
    assert pack({"a", "b", "c", 1}) == pack({1, "c", "b", "a"})


def test_relatives_of_plain_types_become_plain() -> None:
    class Wavelength(float): ...

    cases: list[tuple[Any, Any]] = [
        (Wavelength(2.5), 2.5),
        (collections.deque([1]), [1]),
        (array.array("i", [1, 2]), [1, 2]),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (frozenset([1]), {1}),
        ({"a": 1}.keys(), {"a"}),
        (memoryview(b"ab"), b"ab"),
        (np.str_("ab"), "ab"),
    ]
    for value, plain in cases:
        again = unpack(pack([value]))[0]
        assert again == plain
        assert type(again) is type(plain)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (object(), "builtins.object"),
        (fractions.Fraction(1, 2), "fractions.Fraction"),
        (datetime.timedelta(1), "datetime.timedelta"),
        ((i for i in ()), "generator"),
        (len, "builtin_function_or_method"),
        (np.zeros(1, "f2"), "float16.*astype.numpy.float32"),
        (np.float16(1), "float16"),
        (np.zeros(1, np.longdouble), str(np.dtype(np.longdouble))),
        (np.zeros(1, "m8[s]"), "timedelta64.*int64"),
        (np.timedelta64(1, "s"), "timedelta64"),
        (np.zeros(1, "M8[10us]"), "datetime64.*whole unit"),
        (np.zeros(1, "V4"), "V4"),
        (np.zeros(1, [("a", "i4")])[0], "numpy.void"),
        (np.zeros(2, []), "without fields"),
        (np.zeros(2, [("a", "i4", (2,))]), "'a'.*dict"),
        (np.ma.array([1, 2], mask=[0, 1]), "mask"),
        (datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), "time zone"),
        (datetime.time(1, tzinfo=datetime.UTC), "time zone"),
        ("\ud800", "surrogates"),
        (1 << (8 * 65535), "int of 65536 bytes"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_what_would_not_come_back_is_refused_by_its_type(value: Any, named: str) -> None:
    for outer in (value, {"inner": [value]}):
        with pytest.raises(DataJointError, match=named):
            pack(outer)


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(DataJointError, match="contains itself"):
        pack(endless)


@pytest.mark.parametrize("content", [b"", b"dj", b"hello", b"\x00" * 40, b"ZL12"])
def test_bytes_that_are_no_blob_are_an_error(content: bytes) -> None:
    with pytest.raises(DataJointError, match="not a blob"):
        unpack(content)


@pytest.mark.parametrize("content", [None, "dj0", 5, [1]])
def test_a_blob_is_bytes(content: Any) -> None:
    with pytest.raises(DataJointError, match=type(content).__name__):
        unpack(content)


def test_any_bytes_like_object_is_read() -> None:
    packed = pack([1, "a"])
    assert unpack(bytearray(packed)) == unpack(memoryview(packed)) == [1, "a"]


_HUGE = struct.pack("<Q", 1 << 60)


@pytest.mark.parametrize(
    "content",
    [
        b"dj0\0",
        b"dj0\0\xff\xff",
        b"dj0\0\x63",
        b"dj0\0\x02" + _HUGE,
        b"dj0\0\x04" + _HUGE,
        b"dj0\0\x06" + _HUGE,
        b"dj0\0A" + _HUGE,
        b"dj0\0A" + struct.pack("<QQII", 1, 1 << 60, 5, 0),
        b"dj0\0A" + struct.pack("<QQII", 1, 1 << 60, 9, 0),
        b"dj0\0A" + struct.pack("<QQQII", 2, 0, 1 << 63, 9, 0),
        b"dj0\0A" + struct.pack("<QQII", 1, 1, 17, 0) + bytes(8),
        b"dj0\0A" + struct.pack("<QQII", 1, 1, 1 << 16, 1) + bytes(16),
        b"dj0\0F\xff\xff\xff\xff",
        b"dj0\0F\x01\0\0\0a\0\xff",
        b"dj0\0S" + struct.pack("<QQI", 1, 1, 1) + b"no zero follows",
        b"mYm\0P" + bytes(64),
        b"dj0\0\x0a\xff\xff\x01",
        b"dj0\0\x05" + struct.pack("<Q", 1) + b"\xff",
        b"dj0\0d" + struct.pack("<Q", 2) + b"xx",
        b"dj0\0t" + struct.pack("<iq", 20241301, -1),
        b"dj0\0u" + bytes(15),
        b"dj0\0\x03" + struct.pack("<QQBQ", 1, 9, 2, 0),
        b"dj0\0\x02" + struct.pack("<QQB", 1, 7, 255),
        b"dj0\0" + (b"\x02" + struct.pack("<QQ", 1, 100)) * 20_000,
        b"ZL123\0" + bytes(4),
        b"ZL123\0" + _HUGE + zlib.compress(bytes(100)),
        b"ZL123\0" + struct.pack("<Q", 5) + zlib.compress(b"dj0\0\xff", 6)[:-3],
        b"ZL123\0" + struct.pack("<Q", 6) + zlib.compress(b"dj0\0\xff"),
        b"ZL123\0" + struct.pack("<Q", 0) + zlib.compress(b""),
    ],
)
def test_a_blob_that_lies_is_an_error(content: bytes) -> None:
    with pytest.raises(DataJointError):
        unpack(content)


def _samples() -> list[bytes]:
    packed = [pack(value, compress=False) for value in values().values()]
    return [*packed, *matlab_blobs().values(), *matlab_blobs_of_32_bits().values()]


_SAMPLES = [sample for sample in _samples() if len(sample) < 600]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(_SAMPLES), st.integers(0, 2**32))
def test_damage_anywhere_gives_a_value_or_an_error_of_ours(sample: bytes, seed: int) -> None:
    draw = random.Random(seed)
    damaged = bytearray(sample)
    for _ in range(draw.randint(1, 3)):
        damaged[draw.randrange(4, len(damaged))] = draw.choice([0, 1, 2, 4, 127, 255, draw.randrange(256)])
    if draw.random() < 0.3:
        del damaged[draw.randrange(4, len(damaged)) :]
    try:
        describe(unpack(damaged))
    except DataJointError:
        return


@pytest.mark.parametrize("sample", _SAMPLES)
def test_a_blob_that_is_cut_short_is_an_error(sample: bytes) -> None:
    for length in {4, 5, len(sample) // 2, len(sample) - 1}:
        if length < len(sample):
            with pytest.raises(DataJointError):
                unpack(sample[:length])


def test_compression_is_for_long_blobs_that_get_shorter() -> None:
    noise = random.Random(0).randbytes(5000)
    assert pack(bytes(5000)).startswith(b"ZL123\0")
    assert pack(noise).startswith(b"dj0\0")
    assert pack(bytes(500)).startswith(b"dj0\0")
    assert pack(bytes(5000), compress=False).startswith(b"dj0\0")
    assert len(pack(bytes(5000))) < 100


def test_long_noise_is_not_compressed_and_long_repetition_is() -> None:
    noise = np.frombuffer(random.Random(0).randbytes(1 << 20), "u1")
    assert pack(noise).startswith(b"mYm\0")
    assert len(pack(np.zeros(1 << 20))) < 1 << 17


def test_plain_values_that_compare_equal_keep_their_types() -> None:
    value = [True, 1, 1.0, complex(1), decimal.Decimal(1), np.int8(1), uuid.UUID(int=1)]
    assert [type(member) for member in unpack(pack(value))] == [type(member) for member in value]
