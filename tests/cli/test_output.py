"""The answer on stdout: JSON that any reader can read and no terminal obeys."""

import json

from hypothesis import given
from hypothesis import strategies as st

from alknet.cli.output import json_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_what_is_written_is_read_back(value, is_ascii, indent):
    assert json.loads(json_text(value, is_ascii=is_ascii, indent=indent)) == value


@given(VALUES, st.booleans())
def test_it_is_one_line_without_controls(value, is_ascii):
    assert json_text(value, is_ascii=is_ascii).isprintable()


@given(VALUES)
def test_it_is_ascii_where_stdout_is(value):
    assert json_text(value, is_ascii=True).isascii()


def test_letters_stay_letters_where_stdout_can_show_them():
    assert json_text({"größe": "🦀"}) == '{"größe":"🦀"}'
