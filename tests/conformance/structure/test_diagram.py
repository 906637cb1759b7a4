"""Diagrams: which tables are in them, and what the texts and pictures say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dj_query.diagram import Diagram
from dj_query.schema import Schema
from dj_query.virtual import VirtualModule
from dj_schema.connection import Connection
from dj_schema.errors import DataJointError
from dj_schema.graph.picture import COLLAPSED, STYLES, Reference
from dj_schema.names import Tier
from tests.conformance.structure.tables import table_class

NewSchema = Callable[..., Schema]


@pytest.fixture
def lab(connection: Connection, new_schema: NewSchema, dj: ModuleType) -> Any:
    """Return two schemas with tables of every tier and references of every kind."""
    lab, study = new_schema(), new_schema()
    names: dict[str, Any] = {}
    tables = (
        (lab, "Subject", "Manual", "subject : int32", {}),
        (lab, "Method", "Lookup", "method : varchar(9)", {}),
        (lab, "Session", "Manual", "-> Subject\nsession : int8\n---\n-> [nullable] Method", {
            "Trial": table_class(dj, "Trial", "-> master\ntrial : int8", "Part")}),
        (lab, "Detail", "Manual", "-> Subject\n---\nweight : float32", {}),
        (lab, "Pair", "Manual", "-> Subject.proj(a='subject')\n-> Subject.proj(b='subject')", {}),
        (lab, "Person", "Manual", "person : int8\n---\n-> [nullable] Person.proj(boss='person')", {}),
        (study, "Recording", "Imported", "-> Session\n---\nx : int8", {}),
        (study, "Result", "Computed", "-> Recording\n-> Method\n---\nx : int8", {}),
    )  # fmt: skip
    for schema, name, tier, definition, parts in tables:
        names[name] = schema(table_class(dj, name, definition, tier, **parts), context=names)
    return SimpleNamespace(lab=lab, study=study, **names)


def shown(diagram: Diagram) -> set[str]:
    return {node.label for node in diagram.picture.nodes}


def test_a_diagram_starts_from_a_schema_a_module_or_a_table(
    lab: Any, connection: Connection, dj: ModuleType
) -> None:
    all_of_lab = {"Subject", "Method", "Session", "Session.Trial", "Detail", "Pair", "Person"}
    assert shown(dj.Diagram(lab.lab)) == all_of_lab
    assert shown(dj.Diagram(VirtualModule("lab", lab.lab.name, connection=connection))) == all_of_lab
    for source in (
        lab.Session,
        lab.Session(),
        dj.FreeTable(lab.Session.full_table_name),
        dj.Diagram(lab.Session),
    ):
        assert shown(dj.Diagram(source)) == {"Session"}
    assert lab.Session in dj.Diagram(lab.lab)
    assert lab.Result not in dj.Diagram(lab.lab)
    assert len(dj.Diagram(lab.lab)) == 7
    for wrong in (5, "lab", json, int):
        with pytest.raises(DataJointError, match="no diagram"):
            dj.Diagram(wrong)


def test_operators_choose_tables(lab: Any, dj: ModuleType) -> None:
    session, result = dj.Diagram(lab.Session), dj.Diagram(lab.Result)
    assert shown(session + 1) == {"Session", "Session.Trial", "Recording"}
    assert shown(session + 2) == {"Session", "Session.Trial", "Recording", "Result"}
    assert shown(session + 0) == {"Session"}
    assert shown(session + 99) == shown(session + 2)
    assert shown(session - 1) == {"Subject", "Method", "Session"}
    assert shown(result - 1) == {"Result", "Recording", "Method"}
    assert shown(result - 3) == {"Result", "Recording", "Method", "Session", "Subject"}
    assert shown(session + 1 - 1) == {"Session", "Session.Trial", "Recording", "Subject", "Method"}
    assert shown((session + 2) * (result - 99)) == {"Session", "Recording", "Result"}
    assert shown((session + 2) - dj.Diagram(lab.study)) == {"Session", "Session.Trial"}
    assert shown(session + result) == {"Session", "Result"}
    assert shown(session + lab.Result) == {"Session", "Result"}
    assert shown(dj.Diagram(lab.lab) + dj.Diagram(lab.study)) == shown(
        dj.Diagram.from_sequence([lab.lab, lab.study])
    )
    assert shown(session.add_parts()) == {"Session", "Session.Trial"}
    assert session + result == result + session
    assert session + result != session
    whole = (dj.Diagram(lab.study) + 0) + lab.lab
    order = [name for _, name in whole.tables]
    assert (
        order.index("subject") < order.index("session") < order.index("_recording") < order.index("__result")
    )
    for wrong in (-1, 1.5, True, None):
        with pytest.raises(DataJointError, match="no diagram|number of steps"):
            session + wrong
    with pytest.raises(DataJointError, match="at least one"):
        dj.Diagram.from_sequence([])


def test_a_collapsed_schema_is_one_box_beside_tables_that_stay(lab: Any, dj: ModuleType) -> None:
    high = dj.Diagram(lab.lab).collapse() + dj.Diagram(lab.study)
    box = f"{lab.lab.name} (7 tables)"
    assert shown(high) == {box, "Recording", "Result"}
    arrows = {(a.parent.split(".", 1)[1], a.child.split(".", 1)[1]) for a in high.picture.arrows}
    assert arrows == {("*", "_recording"), ("*", "__result"), ("_recording", "__result")}
    assert len(high.picture.arrows) == 3
    both = high + lab.Session
    assert shown(both) == {f"{lab.lab.name} (6 tables)", "Session", "Recording", "Result"}
    assert shown(dj.Diagram(lab.Session).collapse()) == {f"{lab.lab.name} (1 table)"}
    assert shown(high - dj.Diagram(lab.lab)) == {"Recording", "Result"}
    assert box in high.make_mermaid()
    assert box in high.make_dot()


@pytest.mark.rule("model-relationships", "lines")
def test_colours_tell_the_tier_and_lines_the_kind_of_reference(lab: Any, dj: ModuleType) -> None:
    picture = (dj.Diagram(lab.lab) + lab.study).picture
    kinds = {node.label: node.kind for node in picture.nodes}
    assert kinds["Subject"] is Tier.MANUAL
    assert kinds["Method"] is Tier.LOOKUP
    assert kinds["Session.Trial"] is Tier.PART
    assert kinds["Recording"] is Tier.IMPORTED
    assert kinds["Result"] is Tier.COMPUTED
    assert {n.label for n in picture.nodes if n.is_dimension} == {
        "Subject", "Method", "Session", "Session.Trial", "Person"
    }  # fmt: skip
    label = {node.name: node.label for node in picture.nodes}
    assert len(picture.arrows) == 10
    assert {(label[a.parent], label[a.child], a.kind, a.renames, a.is_nullable) for a in picture.arrows} == {
        ("Subject", "Session", Reference.CONTAINMENT, (), False),
        ("Method", "Session", Reference.ATTRIBUTE, (), True),
        ("Session", "Session.Trial", Reference.CONTAINMENT, (), False),
        ("Subject", "Detail", Reference.EXTENSION, (), False),
        ("Subject", "Pair", Reference.CONTAINMENT, ("a=subject",), False),
        ("Subject", "Pair", Reference.CONTAINMENT, ("b=subject",), False),
        ("Person", "Person", Reference.ATTRIBUTE, ("boss=person",), True),
        ("Session", "Recording", Reference.EXTENSION, (), False),
        ("Recording", "Result", Reference.CONTAINMENT, (), False),
        ("Method", "Result", Reference.CONTAINMENT, (), False),
    }


@pytest.mark.rule("model-relationships", "lines")
def test_the_texts_hold_each_table_once_with_its_colour_and_lines(lab: Any, dj: ModuleType) -> None:
    diagram = dj.Diagram(lab.lab) + lab.study
    mermaid, dot = diagram.make_mermaid(), diagram.make_dot()
    assert mermaid.startswith("flowchart TB\n")
    for tier in (Tier.MANUAL, Tier.LOOKUP, Tier.IMPORTED, Tier.COMPUTED, Tier.PART):
        assert f"classDef {tier.name.lower()} fill:{STYLES[tier].fill}," in mermaid
        assert f'fillcolor="{STYLES[tier].fill}"' in dot
    assert STYLES[COLLAPSED].fill not in dot
    for text in (mermaid, dot):
        assert text.count("<u>Subject</u>") == text.count("Session.Trial</u>") == 1
        assert lab.lab.name in text  # two schemas: each in a frame of its own
        assert lab.study.name in text
    for line in (" === ", " --- ", " -.-|"):
        assert line in mermaid
    for style in (
        "style=solid, penwidth=2.4",
        "style=solid, penwidth=0.9",
        "style=dashed",
        'label="a=subject"',
    ):
        assert style in dot
    assert "weight : float32" in dot  # the definition, as a tooltip
    alone = dj.Diagram(lab.lab)
    assert "subgraph" not in alone.make_mermaid() + alone.make_dot()
    assert str(diagram) == mermaid
    assert repr(dj.Diagram(lab.Session)) == "Diagram(Session)"


def test_text_of_people_cannot_become_code_of_a_diagram(
    new_schema: NewSchema, dj: ModuleType, dot_program: str
) -> None:
    schema = new_schema()
    words = 'a "quoted" <b>bold</b> & \\n \\ #quot; ]] } -->'
    schema(table_class(dj, "Odd", f"# {words}\nk : int8 # {words}\n---\ne : enum('\"]','<x>') # {words}"))
    diagram = dj.Diagram(schema)
    assert "&lt;b&gt;bold" in diagram.make_svg()
    assert "<b>" not in diagram.make_svg()
    assert "bold" not in diagram.make_mermaid()


def test_pictures_are_drawn_and_saved(lab: Any, dj: ModuleType, dot_program: str, tmp_path: Path) -> None:
    diagram = dj.Diagram(lab.lab) + lab.study
    svg = diagram.make_svg()
    assert svg.count('class="node"') == 9
    assert svg.count('class="edge"') == 10
    assert svg.count('class="cluster"') == 2
    bundle = diagram._repr_mimebundle_()
    assert bundle["image/svg+xml"] == diagram._repr_svg_() == svg
    diagram.save(tmp_path / "lab.svg")
    assert (tmp_path / "lab.svg").read_text() == svg
    diagram.save(str(tmp_path / "lab.png"))
    assert (tmp_path / "lab.png").read_bytes()[:8] == diagram.make_png()[:8] == b"\x89PNG\r\n\x1a\n"
    diagram.save(tmp_path / "lab", format="svg")
    assert (tmp_path / "lab").read_text() == svg
    with pytest.raises(DataJointError, match="formats are svg, png, pdf, dot, mmd"):
        diagram.save(tmp_path / "lab.jpeg")


def test_without_graphviz_there_is_a_clear_message_and_mermaid(
    lab: Any, dj: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    diagram = dj.Diagram(lab.lab)
    for draw in (diagram.make_svg, diagram.make_png, diagram.draw, lambda: diagram.save(tmp_path / "x.svg")):
        with pytest.raises(DataJointError, match=r"Graphviz.*apt-get install graphviz.*make_mermaid"):
            draw()
    assert not (tmp_path / "x.svg").exists()
    diagram.save(tmp_path / "x.mmd")
    diagram.save(tmp_path / "x.dot")
    assert (tmp_path / "x.mmd").read_text() == diagram.make_mermaid()
    assert (tmp_path / "x.dot").read_text() == diagram.make_dot()
    assert diagram._repr_svg_() is None
    bundle = diagram._repr_mimebundle_()
    assert bundle["text/vnd.mermaid"] == diagram.make_mermaid()
    assert bundle["text/plain"].startswith("%% Pictures are drawn by the program `dot` of Graphviz")
    assert bundle["text/plain"].endswith(diagram.make_mermaid())


def test_draw_shows_the_picture_in_a_window(lab: Any, dj: ModuleType, dot_program: str) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    dj.Diagram(lab.lab).draw()
    (shown_image,) = pyplot.gca().get_images()
    assert shown_image.get_array().shape[0] > 50
    pyplot.close("all")


def test_a_delete_never_loads_what_draws() -> None:
    code = (
        "import sys, datajoint as dj, dj_query.write.delete, dj_query.table\n"
        "dj.Schema, dj.Manual, dj.Computed\n"
        "assert not [m for m in sys.modules if 'diagram' in m or 'graph.dot' in m or 'mermaid' in m]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
