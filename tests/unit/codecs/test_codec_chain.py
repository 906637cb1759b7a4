"""A codec's chain ends in a core type, carries the store along, and runs there and back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dj_schema.codecs import Codec, chain_of, resolve_dtype, unregister_codec
from dj_schema.codecs import registry as registry_module
from dj_schema.errors import DataJointError


@pytest.fixture(autouse=True)
def _forget_codecs_of_the_test() -> Iterator[None]:
    before = set(registry_module._codecs)
    yield
    for name in set(registry_module._codecs) - before:
        unregister_codec(name)


class Recorder(Codec, register=False):
    """Marks what passes through it, and remembers how it was called."""

    dtype: Any = "bytes"

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def get_dtype(self, is_external: bool) -> str:
        dtype: str = self.dtype(is_external) if callable(self.dtype) else self.dtype
        return dtype

    def validate(self, value: Any) -> None:
        if value == "unwanted":
            raise TypeError("Expected something wanted")
        self.calls.append(("validate", value))

    def encode(self, value: Any, *, key: Any = None, store_name: str | None = None) -> Any:
        self.calls.append(("encode", key, store_name))
        return (self.name, value)

    def decode(self, stored: Any, *, key: Any = None) -> Any:
        self.calls.append(("decode", key))
        assert stored[0] == self.name
        return stored[1]


def define(name: str, dtype: Any) -> type[Codec]:
    return type(
        f"Codec_{name}",
        (Recorder,),
        {"name": name, "dtype": staticmethod(dtype) if callable(dtype) else dtype},
    )


def in_store(is_external: bool) -> str:
    return "json" if is_external else "bytes"


def test_blob_in_the_database_is_bytes() -> None:
    chain = chain_of("<blob>")
    assert (chain.dtype, chain.store, chain.is_external, chain.is_blob) == ("bytes", None, False, True)
    value = {"w": [0.5] * 100, "a": np.arange(3)}
    again = chain.decode(chain.encode(value, {"id": 1}))
    assert again["w"] == value["w"]
    np.testing.assert_array_equal(again["a"], value["a"])


def test_a_missing_value_does_not_reach_the_codecs() -> None:
    define("careless", "bytes")
    chain = chain_of("<careless>")
    assert chain.encode(None, {}) is None
    assert chain.decode(None, {}) is None


def test_values_go_through_the_codecs_in_order_and_back() -> None:
    define("outer", "<middle>")
    define("middle", "<inner>")
    define("inner", "json")
    chain = chain_of("<outer>")
    stored = chain.encode("v", {"id": 1})
    assert stored == ("inner", ("middle", ("outer", "v")))
    assert chain.decode(stored, {"id": 1}) == "v"
    assert [codec.name for codec in chain.codecs] == ["outer", "middle", "inner"]
    outer, middle, _ = chain.codecs
    assert isinstance(outer, Recorder)
    assert isinstance(middle, Recorder)
    assert outer.calls == [("validate", "v"), ("encode", {"id": 1}, None), ("decode", {"id": 1})]
    assert middle.calls == [("encode", {"id": 1}, None), ("decode", {"id": 1})]


def test_an_error_of_validate_reaches_the_user_as_it_is() -> None:
    define("strict", "bytes")
    with pytest.raises(TypeError, match="something wanted"):
        chain_of("<strict>").encode("unwanted")


def test_a_codec_may_name_its_parameter_as_either_page_does() -> None:
    class OfStore(Recorder):
        name = "of_store"

        def get_dtype(self, is_store: bool) -> str:
            return "json" if is_store else "bytes"

    assert chain_of("<of_store@>").dtype == "json"
    assert chain_of("<of_store>").dtype == "bytes"


@pytest.mark.parametrize(
    ("asked", "delegated", "store", "named"),
    [
        ("", "<end>", None, None),
        ("@", "<end>", "", None),
        ("@hot", "<end>", "hot", "hot"),
        ("@hot", "<end@>", "hot", "hot"),
        ("@hot", "<end@cold>", "cold", "cold"),
        ("", "<end@cold>", "cold", "cold"),
        ("@", "<end@cold>", "cold", "cold"),
        ("", "<end@>", "", None),
    ],
)
def test_the_store_is_carried_along(asked: str, delegated: str, store: str | None, named: str | None) -> None:
    define("begin", delegated)
    define("end", in_store)
    chain = chain_of(f"<begin{asked}>")
    assert (chain.store, chain.is_external) == (store, store is not None)
    assert chain.dtype == ("bytes" if store is None else "json")
    chain.encode(1)
    end = chain.codecs[-1]
    assert isinstance(end, Recorder)
    assert end.calls == [("encode", None, named)]


def test_resolve_dtype_names_the_core_type_the_codecs_and_the_store() -> None:
    define("begin", "<end>")
    define("end", in_store)
    dtype, codecs, store = resolve_dtype("<begin@cold>")
    assert (dtype, [codec.name for codec in codecs], store) == ("json", ["begin", "end"], "cold")
    assert resolve_dtype("varchar(30)") == ("varchar(30)", [], None)


def test_a_chain_is_remembered_until_the_registry_changes() -> None:
    define("shape", "bytes")
    first = chain_of("<shape>")
    assert chain_of("<shape>") is first
    define("shape", "json")
    assert chain_of("<shape>").dtype == "json"
    unregister_codec("shape")
    with pytest.raises(DataJointError, match="Unknown codec: <shape>"):
        chain_of("<shape>")


def test_a_circle_of_codecs_is_an_error_that_shows_it() -> None:
    define("chicken", "<egg>")
    define("egg", "<chicken>")
    with pytest.raises(DataJointError, match="<chicken> -> <egg> -> <chicken>"):
        chain_of("<chicken>")


def test_an_unknown_codec_down_the_chain_is_an_error() -> None:
    define("begin", "<nowhere>")
    with pytest.raises(DataJointError, match="Unknown codec: <nowhere>"):
        chain_of("<begin>")


def test_a_codec_that_refuses_the_place_says_so_itself() -> None:
    def only_in_store(is_external: bool) -> str:
        if not is_external:
            raise DataJointError("<large> requires @")
        return "json"

    define("large", only_in_store)
    assert chain_of("<large@>").dtype == "json"
    with pytest.raises(DataJointError, match="<large> requires @"):
        chain_of("<large>")


@pytest.mark.parametrize("dtype", [None, 5, "", "  "])
def test_a_get_dtype_that_returns_no_type_is_an_error(dtype: Any) -> None:
    define("vague", lambda is_external: dtype)
    with pytest.raises(DataJointError, match="<vague>: get_dtype returned"):
        chain_of("<vague>")


def test_a_codec_without_get_dtype_is_an_error() -> None:
    class Untyped(Codec):
        name = "untyped"

        def encode(self, value: Any, *, key: Any = None, store_name: str | None = None) -> Any:
            return value

        def decode(self, stored: Any, *, key: Any = None) -> Any:
            return stored

    with pytest.raises(DataJointError, match="<untyped> lacks get_dtype"):
        chain_of("<untyped>")


@pytest.mark.parametrize("spec", ["blob", "int32", ""])
def test_a_chain_is_asked_for_in_brackets(spec: str) -> None:
    with pytest.raises(DataJointError, match="angle brackets"):
        chain_of(spec)


def test_chains_are_right_while_another_thread_redefines_a_codec() -> None:
    stop = threading.Event()
    define("moving", "bytes")

    def redefine() -> None:
        while not stop.is_set():
            define("moving", "json")

    thread = threading.Thread(target=redefine)
    thread.start()
    try:
        for _ in range(300):
            assert chain_of("<moving>").dtype in ("bytes", "json")
    finally:
        stop.set()
        thread.join()
    assert chain_of("<moving>").codecs[0] is registry_module.get_codec("moving")
