"""A laboratory's pipeline: parameters, selections, analyses, groups with parts, merge tables, and a mixin."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

SUBJECTS = [("alice_1", "rat"), ("bob_2", "rat"), ("carol_3", "mouse")]


@pytest.fixture
def lab(new_schema: Any, dj: Any) -> SimpleNamespace:
    """Declare the pipeline in three schemas: what is shared, an analysis of one's own, what merges both."""
    from tests.support.merge_tables import LabMixin, Merge

    common, mine, merged = new_schema(), new_schema(), new_schema()

    @common
    class Subject(LabMixin, dj.Manual):
        definition = """  # who is recorded
        subject_id : varchar(32)
        ---
        species : varchar(32)
        """

    @common
    class ResultFile(LabMixin, dj.Manual):
        definition = """
        file_name : varchar(64)
        ---
        content : <blob>
        """

        def create(self, key: dict[str, Any]) -> str:
            return f"{dj.hash.key_hash(key)}.dat"

        def add(self, file_name: str, content: Any) -> None:
            self.insert1({"file_name": file_name, "content": content})

    @mine
    class Params(LabMixin, dj.Lookup):
        """Sets of parameters."""

        definition = """
        param_name : varchar(32)
        ---
        params     : <blob>     # a dict
        """
        contents = (
            ["default", {"window_s": 1.0, "threshold": 0.5}],
            ["fast", {"window_s": 0.5, "threshold": 0.5}],
        )

    @mine
    class Blinded(LabMixin, dj.Manual):
        """Subjects without their names."""

        definition = """
        subject_id : uuid
        ---
        -> Subject.proj(actual_id='subject_id')
        """

        def blind(self, restriction: Any) -> None:
            keys = (Subject & restriction).fetch("KEY")
            rows = [{"actual_id": k["subject_id"], "subject_id": dj.hash.key_hash(k)} for k in keys]
            self.insert(rows, skip_duplicates=True)

    @mine
    class Grouping(LabMixin, dj.Manual):
        definition = """
        group_id : int auto_increment
        ---
        group_name : varchar(64)
        unique index (group_name)
        """

        class Unit(LabMixin, dj.Part):
            definition = """
            -> Grouping
            -> Blinded
            """

    @mine
    class Selection(LabMixin, dj.Manual):
        definition = """
        -> Blinded
        -> Params
        """

    @mine
    class Analysis(LabMixin, dj.Computed):
        definition = """
        -> Selection
        ---
        -> ResultFile
        n_windows : int32
        """

        class Window(LabMixin, dj.Part):
            definition = """
            -> master
            window_id : int16
            ---
            start_s : float64
            """

        def make(self, key: dict[str, Any]) -> None:
            params = (Params & key).fetch1("params")
            starts = [i * params["window_s"] for i in range(3)]
            name = ResultFile().create(key)
            ResultFile().add(name, {"starts": starts})
            self.insert1({**key, "file_name": name, "n_windows": len(starts)})
            self.Window.insert([{**key, "window_id": i, "start_s": s} for i, s in enumerate(starts)])

    @mine
    class GroupAnalysis(LabMixin, dj.Computed):
        definition = """
        -> Grouping
        ---
        n_subjects : int32
        """

        def make(self, key: dict[str, Any]) -> None:
            self.insert1({**key, "n_subjects": len(Grouping.Unit & key)})

    module = SimpleNamespace(Analysis=Analysis, GroupAnalysis=GroupAnalysis)  # noqa: F841 - in references

    @merged
    class Output(LabMixin, Merge):
        class Analysis(LabMixin, dj.Part):
            definition = """
            -> master
            ---
            -> module.Analysis
            """

        class GroupAnalysis(LabMixin, dj.Part):
            definition = """
            -> master
            ---
            -> module.GroupAnalysis
            """

    @merged
    class Report(LabMixin, dj.Computed):
        definition = """
        -> Output
        -> Params
        ---
        size : int32
        """

        def make(self, key: dict[str, Any]) -> None:
            threshold = (Params & key).fetch1("params")["threshold"]
            row = Output().merge_get_parent(key).fetch1()
            size = row.get("n_windows") or row["n_subjects"]
            self.insert1({**key, "size": int(size / threshold)})

    Subject.insert(SUBJECTS)
    classes = [Subject, ResultFile, Params, Blinded, Grouping, Selection, Analysis, GroupAnalysis]
    return SimpleNamespace(
        **{cls.__name__: cls for cls in [*classes, Output, Report]}, common=common, mine=mine, merged=merged
    )


@pytest.fixture
def computed(lab: SimpleNamespace) -> SimpleNamespace:
    """Fill the pipeline and compute it."""
    lab.Blinded().blind({"species": "rat"})
    lab.Blinded().blind(True)
    lab.Selection.insert(
        [{**key, "param_name": "default"} for key in lab.Blinded.keys(limit=2, order_by="KEY")]
    )
    lab.Selection.insert(lab.Blinded * (lab.Params & {"param_name": "fast"}).proj(), ignore_extra_fields=True)
    lab.Grouping.insert([{"group_name": name} for name in ("all", "rats")])
    groups = {row["group_name"]: row["group_id"] for row in lab.Grouping()}
    lab.Grouping.Unit.insert([{"group_id": groups["all"], **key} for key in lab.Blinded().proj()])
    rats = lab.Blinded & (lab.Subject & "species = 'rat'").proj(actual_id="subject_id")
    lab.Grouping.Unit.insert([{"group_id": groups["rats"], **key} for key in rats.proj()])
    lab.Analysis.populate()
    lab.GroupAnalysis.populate(reserve_jobs=True)
    lab.Output.merge_insert(lab.Analysis().proj().to_dicts(), "analysis")
    lab.Output.merge_insert(lab.GroupAnalysis().proj().to_dicts(), "group_analysis")
    lab.Report.populate({"param_name": "default"})
    return lab


def test_selections_are_analysed_with_their_parameters(computed: SimpleNamespace) -> None:
    assert len(computed.Blinded()) == 3
    assert all(isinstance(key["subject_id"], UUID) for key in computed.Blinded())
    assert len(computed.Analysis()) == 5
    starts = (computed.Analysis.Window & {"param_name": "fast"}).to_arrays("start_s")
    assert sorted(set(starts)) == [0.0, 0.5, 1.0]
    files = (computed.ResultFile & computed.Analysis).to_dicts()
    assert len(files) == len(computed.ResultFile()) == 5
    assert {tuple(f["content"]["starts"]) for f in files} == {(0.0, 1.0, 2.0), (0.0, 0.5, 1.0)}
    assert sorted(computed.GroupAnalysis.to_arrays("n_subjects")) == [2, 3]


def test_a_merge_table_leads_to_the_results_of_each_pipeline(computed: SimpleNamespace, dj: Any) -> None:
    assert dj.U("source").aggr(computed.Output, n="count(*)").to_dicts(order_by="KEY") == [
        {"source": "analysis", "n": 5},
        {"source": "group_analysis", "n": 2},
    ]
    assert sorted(computed.Report.to_arrays("size")) == [4, 6, 6, 6, 6, 6, 6]
    one = (computed.Output & {"source": "group_analysis"}).keys(limit=1)[0]
    assert computed.Output.merge_get_parent(one).fetch1("n_subjects") in (2, 3)
    assert computed.Output.merge_insert(computed.Analysis().proj().to_dicts(), "analysis") == []
    with pytest.raises(ValueError, match="2 sources"):
        computed.Output.merge_get_part()


def test_what_is_deleted_upstream_takes_its_results_along(computed: SimpleNamespace, dj: Any) -> None:
    with pytest.raises(dj.DataJointError, match="part_integrity"):
        (computed.Analysis & {"param_name": "fast"}).delete()  # the merge table's row would be left alone
    with pytest.raises(dj.DataJointError, match="Part"):
        computed.Output.Analysis.delete()
    ids = (computed.Output.Analysis & (computed.Analysis & {"param_name": "default"})).proj()
    computed.Output.merge_delete_parent(ids)
    assert len(computed.Analysis()) == 3
    assert (len(computed.Output()), len(computed.Report())) == (5, 5)
    assert computed.Analysis.delete(safemode=False, part_integrity="cascade") == 3
    assert set(computed.Output.to_arrays("source")) == {"group_analysis"}
    assert len(computed.Report()) == 2
    assert len(computed.Selection()) == 5
    assert len(computed.ResultFile()) == 5


def test_helpers_of_the_mixin_see_the_pipeline(computed: SimpleNamespace, dj: Any, connection: Any) -> None:
    key = {"subject_id": UUID(int=0), "param_name": "none"}
    with pytest.raises(dj.errors.IntegrityError, match="parent"):
        computed.Selection.insert1(key)
    assert computed.Selection().lacking(key) == ["blinded", "#params"]
    assert computed.Selection.key_names == ["subject_id", "param_name"]
    carol = (computed.Blinded & {"actual_id": "carol_3"}).fetch1("subject_id")
    found = computed.Analysis().upstream({"actual_id": "carol_3"})
    assert found.to_dicts() == (computed.Analysis & {"subject_id": carol}).to_dicts() != []
    computed.Params.insert_default()
    assert len(computed.Params()) == 2
    assert connection.query("SELECT 1").fetchall() == [(1,)]
    assert "group_id : " in computed.Grouping.describe()
    assert computed.Subject.full_table_name.strip('`"').startswith(computed.common.database)


def test_a_field_that_was_added_to_the_code_is_told_after_a_restart(
    computed: SimpleNamespace, dj: Any
) -> None:
    again = dj.Schema(computed.mine.database, connection=computed.mine.connection)
    again.spawn_missing_classes(names := {})
    with pytest.raises(dj.errors.UnknownAttributeError, match="mean_result"):
        names["Analysis"].insert1({"mean_result": 1.0}, allow_direct_insert=True)
