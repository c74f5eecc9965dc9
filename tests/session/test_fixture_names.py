"""Every check has a file of its own, on any file system."""

import string

from hypothesis import given
from hypothesis import strategies as st

from pytest_finbot.session.fixture import LONGEST_NAME, file_name

SAFE = set(string.ascii_letters + string.digits + "_.-")
TESTS = st.text(alphabet="tT_.[]-é/\\a0", min_size=1, max_size=12).map(lambda name: f"t{name}")
CHECKS = st.none() | st.text(alphabet="tT_.[]-é/0", min_size=1, max_size=6)


def test_a_plain_name_stays_as_it_is():
    assert file_name("test_rotation", None) == "test_rotation"
    assert file_name("test_rotation", "core") == "test_rotation--core"


def test_any_other_says_what_it_was_and_ends_in_a_hash():
    for name in ("test_x[a]", "test_x[AAPL/XOM]", "TestX.test_y", "test_é", "test_x-0123456789", "t" * 300):
        found = file_name(name, None)
        assert found != name
        assert set(found) <= SAFE
        assert len(found) <= LONGEST_NAME + 11
        assert found.startswith(name[:5].replace("é", "_").replace("[", "_"))


@given(st.tuples(TESTS, CHECKS), st.tuples(TESTS, CHECKS))
def test_two_checks_never_share_a_file_where_case_counts_or_not(one, other):
    # Names of tests hold no "--" outside their parameters, so that a check's name is told apart.
    if one != other and "--" not in one[0] + other[0]:
        assert file_name(*one).casefold() != file_name(*other).casefold()
