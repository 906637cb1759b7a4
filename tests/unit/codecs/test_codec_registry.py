"""Codecs register as they are defined, under one name each, and plugins load when they are asked for."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dj_schema.codecs import (
    Codec,
    get_codec,
    is_codec_registered,
    list_codecs,
    parse_type_spec,
    unregister_codec,
)
from dj_schema.codecs import registry as registry_module
from dj_schema.errors import DataJointError


@pytest.fixture(autouse=True)
def _forget_codecs_of_the_test() -> Iterator[None]:
    before = set(registry_module._codecs)
    yield
    for name in set(registry_module._codecs) - before:
        unregister_codec(name)


class Plain(Codec, register=False):
    """A base for codecs that pass values through."""

    def get_dtype(self, is_external: bool) -> str:
        return "bytes"

    def encode(self, value: Any, *, key: Any = None, store_name: str | None = None) -> Any:
        return value

    def decode(self, stored: Any, *, key: Any = None) -> Any:
        return stored


def define(name: Any, qualname: str = "Defined", **members: Any) -> type[Codec]:
    return type(qualname, (Plain,), {"name": name, **members})


def test_a_codec_is_registered_by_its_definition() -> None:
    class Waveform(Plain):
        name = "waveform"

    for spelling in ("waveform", "<waveform>", "<waveform@>", "<waveform@cold>"):
        assert type(get_codec(spelling)) is Waveform
        assert is_codec_registered(spelling)
    assert "waveform" in list_codecs()
    assert list_codecs() == sorted(list_codecs())


def test_blob_is_built_in() -> None:
    assert "blob" in list_codecs()
    assert get_codec("<blob>").get_dtype(False) == "bytes"
    assert get_codec("<blob>").get_dtype(True) == "<hash>"
    assert repr(get_codec("blob")) == "<BlobCodec(name='blob')>"


@pytest.mark.parametrize("options", [{"register": False}, {}])
def test_a_base_class_is_not_registered(options: dict[str, bool]) -> None:
    before = list_codecs()
    type("Base", (Plain,), {"name": "base_only"} if options else {}, **options)
    assert list_codecs() == before


def test_a_class_defined_again_takes_the_place_of_the_first() -> None:
    define("again")
    before = registry_module.generation()
    second = define("again")
    assert type(get_codec("again")) is second
    assert registry_module.generation() > before


def test_another_class_under_a_taken_name_is_an_error() -> None:
    first = define("taken", "First")
    with pytest.raises(DataJointError, match=r"<taken> is already registered by .*First.*Second"):
        define("taken", "Second")
    assert type(get_codec("taken")) is first


def test_a_subclass_needs_a_name_of_its_own() -> None:
    define("parent", "Parent")
    with pytest.raises(DataJointError, match="name of its own"):
        type("Child", (type(get_codec("parent")),), {})


@pytest.mark.parametrize("name", ["", "two words", "<angled>", "a@b", "1st", 5])
def test_an_unusable_name_is_an_error(name: Any) -> None:
    with pytest.raises(DataJointError, match="not usable"):
        define(name)


def test_a_codec_without_its_methods_is_an_error() -> None:
    with pytest.raises(DataJointError, match="does not define encode and decode"):
        type("Half", (Codec,), {"name": "half"})
    assert not is_codec_registered("half")


def test_a_codec_that_needs_arguments_is_an_error() -> None:
    def needs_level(self: Codec, level: int) -> None: ...

    with pytest.raises(DataJointError, match="must need no arguments"):
        define("levelled", __init__=needs_level)


def test_an_unknown_codec_is_an_error_that_says_what_to_do() -> None:
    assert not is_codec_registered("absent")
    with pytest.raises(DataJointError, match=r"Unknown codec: <absent>.*Import the module.*blob"):
        get_codec("<absent>")


def test_a_codec_can_be_forgotten_once() -> None:
    define("brief")
    unregister_codec("<brief>")
    assert not is_codec_registered("brief")
    with pytest.raises(DataJointError, match="<brief> is not registered"):
        unregister_codec("brief")


@pytest.mark.parametrize(
    ("spec", "parsed"),
    [
        ("<blob>", ("blob", None)),
        ("<blob@>", ("blob", "")),
        ("<blob@cold>", ("blob", "cold")),
        ("< blob @ cold >", ("blob", "cold")),
        ("blob", ("blob", None)),
        ("blob@cold-2", ("blob", "cold-2")),
    ],
)
def test_a_type_spec_is_a_name_and_a_store(spec: str, parsed: tuple[str, str | None]) -> None:
    assert parse_type_spec(spec) == parsed


@pytest.mark.parametrize(
    "spec", ["", "<>", "<blob", "blob>", "<@cold>", "<a@b@c>", "<blob cold>", "<<blob>>"]
)
def test_a_malformed_type_spec_is_an_error(spec: str) -> None:
    with pytest.raises(DataJointError, match="does not name a codec"):
        parse_type_spec(spec)


def _install_plugin(folder: Path, entry: str, source: str, group: str = "datajoint.codecs") -> None:
    package = entry.split("=")[1].strip().split(":")[0]
    (folder / f"{package}.py").write_text(source)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry}\n")


_PLUGIN = """
from dj_schema.codecs import BlobCodec

class PluginCodec(BlobCodec):
    name = "{name}"
"""


@pytest.mark.parametrize("group", ["datajoint.codecs", "datajoint.types"])
@pytest.mark.parametrize("entry_name", ["plugged", "another_name"])
def test_a_plugin_is_loaded_when_its_codec_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str, entry_name: str
) -> None:
    package = f"plugin_{entry_name}_{group[-5:]}"
    _install_plugin(tmp_path, f"{entry_name} = {package}:PluginCodec", _PLUGIN.format(name="plugged"), group)
    monkeypatch.syspath_prepend(tmp_path)
    assert entry_name in list_codecs()
    assert is_codec_registered(entry_name)
    assert package not in sys.modules
    assert type(get_codec("<plugged>")).__module__ == package


def test_a_plugin_that_does_not_load_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install_plugin(tmp_path, "broken = plugin_broken:Codec", "raise RuntimeError('no licence')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataJointError, match=r"(?s)Unknown codec: <broken>.*plugin_broken.*no licence"):
        get_codec("broken")


def test_a_broken_plugin_does_not_stand_in_the_way_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install_plugin(tmp_path, "a_first = plugin_first:Codec", "raise RuntimeError")
    _install_plugin(tmp_path, "z_last = plugin_last:PluginCodec", _PLUGIN.format(name="lasting"))
    monkeypatch.syspath_prepend(tmp_path)
    assert get_codec("lasting").name == "lasting"


def test_threads_that_register_lose_no_codec() -> None:
    n_threads, n_codecs = 8, 50
    together = threading.Barrier(n_threads)
    failures: list[DataJointError] = []

    def register_many(thread: int) -> None:
        together.wait()
        for i in range(n_codecs):
            define(f"t{thread}_{i}", f"T{thread}_{i}")
            try:
                define(f"contested_{i}", f"Contested{thread}")
            except DataJointError as error:
                failures.append(error)

    before = registry_module.generation()
    threads = [threading.Thread(target=register_many, args=(i,)) for i in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {f"t{t}_{i}" for t in range(n_threads) for i in range(n_codecs)} <= set(list_codecs())
    assert len(failures) == (n_threads - 1) * n_codecs
    assert registry_module.generation() == before + n_threads * n_codecs + n_codecs
