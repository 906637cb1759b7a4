"""JSON attributes: restricted and projected by what is inside of them, with indexes on it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

REVER = {
    "name": "Rever",
    "length": 20.5,
    "inspected": True,
    "tire_pressure": [32, 31, 33, 34],
    "headlights": [{"side": "left", "hyper_white": None}, {"side": "right", "hyper_white": None}],
}
CHACHING = {
    "name": "Chaching",
    "length": 100,
    "safety_inspected": False,
    "tire_pressure": [34, 30, 27, 32],
    "headlights": [{"side": "left", "hyper_white": True}, {"side": "right", "hyper_white": True}],
}


@pytest.fixture
def team(new_schema: Any, dj: Any) -> Any:
    @new_schema()
    class Team(dj.Lookup):
        definition = """
        # A team within a company
        name : varchar(40)
        ---
        car = null : json      # (null until it is known)
        unique index(car.length:decimal(4, 1))
        """

    Team.insert1({"name": "engineering", "car": REVER})
    Team.insert([{"name": "marketing", "car": None}, {"name": "business", "car": CHACHING}])
    return Team


def names(query: Any) -> set[str]:
    return set(query.to_arrays("name").tolist())


@pytest.mark.rule("json-type", "restriction")
@pytest.mark.rule("query-algebra", "2.4")
def test_restriction_by_what_is_at_a_path(team: Any, dj: Any) -> None:
    cases: list[tuple[Any, set[str]]] = [
        ({"car.length": 100}, {"business"}),
        ({"car.length": 20.5}, {"engineering"}),
        ({"car.length:float": 20.5}, {"engineering"}),
        ({"car.length:decimal(4, 1)": 20.5}, {"engineering"}),
        ({"car.length:int32": 100}, {"business"}),
        ({"car.length:varchar(10)": "100"}, {"business"}),
        ("car->>'$.length' < 50", {"engineering"}),
        ([{"car.inspected:unsigned": True}, {"car.safety_inspected:unsigned": True}], {"engineering"}),
        ({"car.inspected": True}, {"engineering"}),
        ({"car.inspected:bool": True}, {"engineering"}),
        ({"car.safety_inspected": False}, {"business"}),
        ({"car.name": "Rever"}, {"engineering"}),
        ({"car.name": "rever"}, set()),
        ({"car.tire_pressure[1]": 30}, {"business"}),
        ({"car.tire_pressure": [32, 31, 33, 34]}, {"engineering"}),
        ({"car.headlights[1]": {"hyper_white": True, "side": "right"}}, {"business"}),
        ({"car.headlights[0].side": "left", "name": "business"}, {"business"}),
        ({'car."name"': "Rever"}, {"engineering"}),
    ]
    for condition, expected in cases:
        assert names(team & condition) == expected, condition
        assert names(team - condition) == {"engineering", "marketing", "business"} - expected, condition


@pytest.mark.rule("json-type", "restriction")
def test_lists_are_equal_by_order_and_number(team: Any) -> None:
    documents = {
        "a": [1, 2], "b": [2, 1], "c": [1, 1, 2], "d": [[1, 2], {"k": [2, 1]}], "e": [[2, 1], {"k": [1, 2]}],
        "f": 5, "g": {"a": 5}, "h": [5], "i": [None, {"n": None}], "j": [None, {"m": 1}], "k": [], "m": {},
    }  # fmt: skip
    team.insert([{"name": n, "car": {"length": i, "l": d}} for i, (n, d) in enumerate(documents.items())])
    new = team & "char_length(name) = 1"
    for name, document in documents.items():
        assert names(new & {"car.l": document}) == {name}, name
    assert names(new & {"car.l[0]": 5}) == names(new & {"car.l[0]:int32": 5}) == {"h"}
    assert names(new & {"car.l[0].a": 5}) == names(new & "car->>'$.l[0].a' = '5'") == set()
    assert names(new & "car->>'$.l[0]' = '5'") == names(new & "car->'$.l[0]' = 5") == {"h"}
    assert names(new & "json_value(car, '$.l[0]') = '5'") == {"h"}
    assert names(new & {"car.l[1].k[0]": 2}) == {"d"}
    first = new.proj(text="car.l[0]", number="car.l[0]:float").to_dicts(order_by="name")
    assert [r["number"] for r in first] == [1, 2, 1, None, None, None, None, 5, None, None, None, None]
    assert [r["text"] for r in first[-5:]] == ["5", None, None, None, None]


@pytest.mark.rule("json-type", "projection")
@pytest.mark.rule("fetch-api", "order_by")
@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        ("car.length:float, name", ["marketing", "odd", "engineering", "business"]),
        ("car.length:decimal(4, 1) DESC, name", ["business", "engineering", "marketing", "odd"]),
        (["car.name DESC", "name"], ["engineering", "business", "marketing", "odd"]),
        ("car.tire_pressure[1]:int32, name DESC", ["odd", "marketing", "business", "engineering"]),
        ("car.headlights[0].hyper_white:bool desc,name", ["business", "engineering", "marketing", "odd"]),
        ('car."length":int ASC, KEY', ["marketing", "odd", "engineering", "business"]),
    ],
    ids=repr,
)
def test_rows_in_the_order_of_what_is_at_a_path(
    team: Any, dj: Any, order_by: Any, expected: list[str]
) -> None:
    team.insert1({"name": "odd", "car": {"length": "long"}})
    assert team.to_arrays("name", order_by=order_by).tolist() == expected
    assert [row["name"] for row in team.to_dicts(order_by=order_by)] == expected
    first = team & dj.Top(2, order_by)
    assert names(first) == names(first.proj()) == names(dj.U("name") & first) == set(expected[:2])
    assert names(team & first.proj()) == set(expected[:2])
    assert [row["label"] for row in first.proj(label="name").to_dicts()] == expected[:2]
    renamed = team.proj("car", label="name").to_dicts(order_by=["car.length:float DESC", "label"])
    assert [row["label"] for row in renamed] == ["business", "engineering", "marketing", "odd"]
    with pytest.raises(dj.errors.UnknownAttributeError):
        team.to_dicts(order_by="cart.length")
    with pytest.raises(dj.errors.QuerySyntaxError, match="not understood"):
        team.to_dicts(order_by="car.length; DROP TABLE x")


NUMBERS = [
    2**53 + 1, 2**63, 2**64 - 1, -(2**63), 0.1, 1.0, 1e15, 1e16, 12345678901234567000.0, 1.5e19, 1e20, 1e22,
    -1e17, 1.5e300, 5e-324, 1e-7, 0,
]  # fmt: skip


@pytest.mark.rule("json-type", "restriction")
@pytest.mark.parametrize("value", [*NUMBERS, "\\u0000", "1e+17 12345678901234567890123"], ids=repr)
def test_a_value_in_json_comes_back_and_is_found(team: Any, value: Any) -> None:
    for document in ({"v": value}, {"v": [value, {"v": value}]}):
        team.update1({"name": "business", "car": document})
        found = (team & "name='business'").fetch1("car")
        assert found == document
        inner = found["v"] if document["v"] is value else found["v"][0]
        assert type(inner) is type(value)
        assert names(team & {"car.v": document["v"]}) == {"business"}
        assert names(team & [{"car.v": document["v"]}, {"car.v": "x"}]) == {"business"}


@pytest.mark.rule("json-type", "none")
@pytest.mark.parametrize("path", ["car.headlights[0].hyper_white", "car.headlights[0].hyper_white:unsigned"])
def test_none_means_no_record_no_such_name_or_null(team: Any, dj: Any, path: str) -> None:
    assert names(team & {path: None}) == {"engineering", "marketing"}
    assert names(team - {path: None}) == {"business"}
    assert names(team & {"car.nothing": None}) == {"engineering", "marketing", "business"}
    assert names(team & {"car": None}) == {"marketing"}
    team.insert1({"name": "literal", "car": {"name": "null", "length": None}})
    assert names(team & {"car.length": None}) == {"marketing", "literal"}
    assert names(team & {"car.name": None}) == {"marketing"}
    assert (team & {"name": "literal"}).proj(x="car.name").fetch1("x") == "null"


@pytest.mark.rule("json-type", "projection")
@pytest.mark.rule("query-algebra", "3.4")
def test_projection_of_paths(team: Any) -> None:
    untyped = team.proj(car_name="car.name", car_length="car.length")
    assert untyped.heading.names == ["name", "car_name", "car_length"]
    assert untyped.to_dicts(order_by="name") == [
        {"name": "business", "car_name": "Chaching", "car_length": "100"},
        {"name": "engineering", "car_name": "Rever", "car_length": "20.5"},
        {"name": "marketing", "car_name": None, "car_length": None},
    ]
    typed = team.proj(car_name="car.name", car_length="car.length:float")
    assert typed.to_arrays("car_length", order_by="name").dtype == float
    assert (typed & "car_length > 30").to_dicts() == [
        {"name": "business", "car_name": "Chaching", "car_length": 100.0}
    ]
    assert team.aggr(team.proj(n="car.length:float"), longest="max(n)").to_arrays("longest").size == 3
    both = team.proj(number="car.length:float", first="car.tire_pressure[0]:int32") & {"first": 34}
    assert both.fetch1() == {"name": "business", "number": 100.0, "first": 34}


TYPED: dict[str, list[Any]] = {
    # of the values below; NULL where there is no such value
    ":float": [20.7, None, 1.0, None, 3.5, None, None, -1.0],
    ":decimal(4,1)": [Decimal("20.7"), None, Decimal(1), None, Decimal("3.5"), None, None, Decimal(-1)],
    ":decimal(3,2)": [None, None, Decimal(1), None, Decimal("3.5"), None, None, Decimal(-1)],
    ":int32": [21, None, 1, None, None, None, None, -1],
    ":unsigned": [21, None, 1, None, None, None, None, None],
    ":bool": [False, None, True, None, None, None, None, None],
    ":varchar(4)": ["20.7", None, "true", None, "3.5", None, "[1]", "-1"],
    ":date": [None, None, None, dt.date(2024, 2, 29), None, None, None, None],
    ":json": [20.7, "Rever", True, "2024-02-29", "3.5", None, [1], -1],
    "": ["20.7", "Rever", "true", "2024-02-29", "3.5", None, "[1]", "-1"],
}
VALUES = [20.7, "Rever", True, "2024-02-29", "3.5", None, [1], -1]


@pytest.mark.rule("json-type", "projection")
def test_value_at_a_path_has_the_type_that_is_asked_for_or_is_null(new_schema: Any, dj: Any) -> None:
    definition = "k : int32\n---\ndoc : json"
    table = new_schema()(type("Documents", (dj.Manual,), {"definition": definition}))
    table.insert([(i, {"v": v}) for i, v in enumerate(VALUES)])
    for type_, expected in TYPED.items():
        found = table.proj(v=f"doc.v{type_}").to_dicts(order_by="k")
        assert [row["v"] for row in found] == expected, type_
        wanted = [type(v) for v in expected]
        assert [type(row["v"]) for row in found] == wanted, type_


@pytest.mark.rule("json-type", "index")
def test_index_on_a_path_keeps_values_apart(team: Any, dj: Any) -> None:
    with pytest.raises(dj.errors.DuplicateError):
        team.insert1({"name": "copy", "car": {"length": 100.0}})
    team.insert([{"name": "no length", "car": {}}, {"name": "null", "car": {"length": None}}])
    team.insert1({"name": "text", "car": {"length": "unknown"}})
    assert len(team()) == 6
    assert team.heading.names == ["name", "car"]
    assert all(list(row) == ["name", "car"] for row in team.to_dicts())


@pytest.mark.rule("json-type", "index", "describe")
def test_describe_gives_the_index_and_the_type(team: Any, dj: Any, new_schema: Any) -> None:
    team.connection.catalog.forget()
    text = dj.FreeTable(team.connection, team.full_table_name).describe()
    assert "unique index(car.length:decimal(4, 1))" in text
    assert "car = null : json" in text.replace("  ", " ")
    again = new_schema()(type("Team", (dj.Lookup,), {"definition": text}))
    assert set(again().info.indexes) == set(team().info.indexes)
    again.insert(team.to_dicts())
    assert again.to_dicts(order_by="name") == team.to_dicts(order_by="name")


@pytest.mark.rule("json-type", "preview")
def test_preview_shows_json_as_it_shows_objects(team: Any) -> None:
    assert "Rever" not in repr(team())
    assert "json" in repr(team())


@pytest.mark.parametrize(
    "path", ["car.a b", "car.", "car..x", "car[x]", "car.x;y", "car.x'", "car.x -- y", "car.x:", "car.x:drop",
             "car.x:decimal(1,2,3)", "car.x:date(3)", 'car."x', "car.length:float)"],
)  # fmt: skip
def test_path_that_is_none_is_refused(team: Any, dj: Any, path: str) -> None:
    with pytest.raises(dj.errors.QuerySyntaxError):
        team & {path: 1}
    with pytest.raises(dj.errors.QuerySyntaxError):
        team.proj(x=path)


def test_path_into_what_is_no_json_is_refused(team: Any, dj: Any) -> None:
    with pytest.raises(dj.errors.UnknownAttributeError):
        team & {"name.x": 1}
    with pytest.raises(dj.DataJointError):
        team.proj(x="name.x")
    assert len(team & {"nothing.x": 1}) == 3  # as other names that are not there
    assert names(team & {'car."it\'s \\\\ 100%"': 1}) == set()
