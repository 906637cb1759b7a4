"""Counting the texts that a session sends: which are worth a name on the server."""

from __future__ import annotations

import pytest

from dj_schema.dialects.postgres.repeated import RepeatedText, RepeatedTexts


def times(texts: RepeatedTexts, text: str, n: int, n_params: int = 1) -> RepeatedText | None:
    for _ in range(n - 1):
        texts.worth_preparing(text, (0,) * n_params)
    return texts.worth_preparing(text, (0,) * n_params)


def test_a_text_is_worth_a_name_from_the_fourth_time() -> None:
    texts = RepeatedTexts()
    assert times(texts, "SELECT %s", 3) is None
    assert texts.worth_preparing("SELECT %s", (0,)) is not None


@pytest.mark.parametrize(
    ("text", "numbered"),
    [
        ("SELECT %s, %s", "SELECT $1, $2"),
        ("SELECT '%%s', %s", "SELECT '%s', $1"),
        ("SELECT '100%%', a %% %s", "SELECT '100%', a % $1"),
        ("SELECT 1", "SELECT 1"),
        ("COMMIT", ""),
        ("SELECT %b", ""),
        ("SELECT %(x)s", ""),
    ],
)
def test_places_are_numbered_as_the_server_wants_them(text: str, numbered: str) -> None:
    assert RepeatedText(text).numbered.decode() == numbered


def test_a_wrong_number_of_values_is_left_to_the_driver() -> None:
    assert times(RepeatedTexts(), "SELECT %s, %s", 9, n_params=1) is None


def test_too_many_names_and_too_many_texts_begin_anew() -> None:
    texts = RepeatedTexts()
    names = {texts.new_name() for _ in range(501)}
    assert len(names) == 501
    assert texts.has_stale_names
    kept = times(texts, "SELECT %s", 4)
    for n in range(2_000):
        texts.worth_preparing(f"SELECT {n}", ())
    assert kept is not texts.worth_preparing("SELECT %s", (0,))
