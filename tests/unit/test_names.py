"""Names of tables: there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dj_schema.errors import DefinitionError
from dj_schema.names import (
    Tier,
    class_name_of,
    master_of,
    table_name_of,
    tier_of,
    to_camel_case,
    to_snake_case,
)

class_names = st.from_regex(r"[A-Z][A-Za-z0-9]{0,20}", fullmatch=True)


@pytest.mark.parametrize(
    ("class_name", "snake"),
    [
        ("Session", "session"),
        ("SessionTrial", "session_trial"),
        ("ProcessedEMG", "processed_e_m_g"),
        ("LFPBandV1", "l_f_p_band_v1"),
        ("Session2Trial", "session2_trial"),
        ("A2B", "a2_b"),
    ],
)
def test_class_names_become_snake_case_word_by_capital(class_name, snake):
    assert to_snake_case(class_name) == snake


@pytest.mark.parametrize("name", ["session", "My_Table", "", "Größe", "1Table", "Table\n", "_Table"])
def test_what_is_not_camel_case_names_no_table(name):
    with pytest.raises(DefinitionError, match="CamelCase"):
        to_snake_case(name)


@given(class_names)
def test_class_names_come_back_from_table_names(name):
    assert to_camel_case(to_snake_case(name)) == name


@given(class_names, st.sampled_from([t for t in Tier if t not in (Tier.PART, Tier.JOBS)]))
def test_the_tier_shows_in_the_table_name(name, tier):
    table_name = table_name_of(name, tier)
    assert tier_of(table_name) is tier
    assert class_name_of(table_name) == name
    assert master_of(table_name) is None


@given(class_names, class_names, st.sampled_from([Tier.MANUAL, Tier.LOOKUP, Tier.IMPORTED, Tier.COMPUTED]))
def test_a_part_is_named_after_its_master(master, part, tier):
    master_name = table_name_of(master, tier)
    if len(master_name) + 2 + len(to_snake_case(part)) > 64:
        return
    name = table_name_of(part, Tier.PART, master_name)
    assert name == f"{master_name}__{to_snake_case(part)}"
    assert tier_of(name) is Tier.PART
    assert master_of(name) == master_name
    assert class_name_of(name) == part


@pytest.mark.parametrize("name", ["~lineage", "~log", "Session", "a b", "#", "__", ""])
def test_names_that_are_not_ours_have_no_tier(name):
    assert tier_of(name) is None


def test_tables_of_jobs_are_told():
    assert tier_of("~~detection") is Tier.JOBS


def test_a_table_name_of_64_characters_is_the_longest():
    assert table_name_of("A" + "b" * 61, Tier.COMPUTED) == "__a" + "b" * 61
    with pytest.raises(DefinitionError, match=r"has 65 characters.*at most 64"):
        table_name_of("A" + "b" * 62, Tier.COMPUTED)
