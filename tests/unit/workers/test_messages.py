"""Exceptions between processes."""

from __future__ import annotations

import pickle
import traceback

from dj_jobs.job import Outcome, Result
from dj_schema.errors import DefinitionError, MakeError, QueryError
from dj_workers.pools.messages import ErrorInWorker, PortableError, Report, TracebackOfWorker


class NeedsTwo(Exception):
    def __init__(self, text: str, other: object) -> None:
        super().__init__(text)


class BadText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __reduce__(self) -> str:
        raise RuntimeError("no pickle")


def travelled(error: Exception) -> BaseException:
    report = Report.of("s.t", Outcome({"a": 1}, Result.ERROR, 0.1, error, "Traceback of it"), [])
    found = pickle.loads(pickle.dumps(report)).outcome().error
    assert found is not None
    return found


def test_an_exception_keeps_its_class_and_its_data() -> None:
    found = travelled(QueryError("refused", code="42601", statement="SELECT"))
    assert type(found) is QueryError
    assert (str(found), found.code, found.statement) == ("refused", "42601", "SELECT")


def test_an_exception_that_cannot_be_made_again_becomes_its_name_and_text() -> None:
    for error in (NeedsTwo("too few", 2), type("Local", (Exception,), {})("of a function")):
        found = travelled(error)
        assert isinstance(found, ErrorInWorker)
        assert isinstance(found, MakeError)
        assert str(found) == f"{type(error).__name__}: {error}"


def test_an_exception_whose_own_code_fails_travels_all_the_same() -> None:
    found = travelled(BadText())
    assert isinstance(found, ErrorInWorker)
    assert found.class_name == "BadText"
    assert "RuntimeError" in found.message


def test_the_traceback_of_the_worker_is_shown_as_the_cause() -> None:
    found = travelled(ValueError("bad"))
    assert isinstance(found.__cause__, TracebackOfWorker)
    assert "Traceback of it" in "".join(traceback.format_exception(found))


def test_an_exception_with_arguments_by_name_only_is_the_same_or_its_text() -> None:
    error = DefinitionError("wrong", line_number=3, line="a : b", expected="a type")
    assert "wrong" in str(travelled(error))


def test_an_error_in_worker_is_picklable_itself() -> None:
    error = ErrorInWorker("Odd", "text")
    assert str(pickle.loads(pickle.dumps(error))) == "Odd: text"
    assert PortableError.of(error).pickled is not None
