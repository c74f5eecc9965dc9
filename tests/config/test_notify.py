"""The key ``notify``: URLs are refused wherever they stand, and never repeated."""

import pytest

from pytest_finbot.config.expand import load_batch
from pytest_finbot.config.notify import Notifier
from pytest_finbot.errors import BatchFileError

SECRET = "tok3n"
SOUND = """\
runs:
  - {id: a, strategy: fixed_weights, symbols: X, start_date: 2020-01-02, end_date: 2020-01-03,
     data: {path: prices.csv}}
batch_name: a
"""


@pytest.fixture
def load(tmp_path):
    (tmp_path / "prices.csv").write_text("Date,X\n2020-01-02,1\n2020-01-03,2\n")

    def load(notify):
        path = tmp_path / "finbot.yaml"
        path.write_text(SOUND + notify)
        return load_batch(path)

    return load


def test_names_of_variables_are_taken(load):
    text = "notify: [{url_env: TEAM}, {url_env: ME, when: on-failure}, {url_env: TEAM, when: on-change}]"
    assert load(text).notify == (Notifier("TEAM", "always"), Notifier("ME", "on-failure"))
    assert load("").notify == ()


SECRETS = [
    (f"notify: json://{SECRET}@host/{SECRET}", 5, "notify"),
    (f"notify: [slack://{SECRET}/b/c]", 5, "notify[0]"),
    (f"notify:\n  - url_env: A\n  - url_env: json://{SECRET}", 7, "notify[1].url_env"),
    (f"notify:\n  - url: json://{SECRET}", 6, "notify[0].url"),
    (f"notify:\n  - {{'json://{SECRET}': null}}", 6, "notify[0]"),
    (f"notify:\n  - {{url_env: A, 'json://{SECRET}': always}}", 6, "notify[0]"),
    (f"notify:\n  - {{url_env: A, when: 'json://{SECRET}'}}", 6, "notify[0].when"),
]


@pytest.mark.parametrize(("text", "line", "key"), SECRETS, ids=range(len(SECRETS)))
def test_a_url_is_refused_by_its_line_and_not_repeated(load, text, line, key):
    with pytest.raises(BatchFileError) as caught:
        load(text)
    assert SECRET not in str(caught.value)
    said = [(one.line, one.key) for one in caught.value.problems if "a URL is a secret" in one.message]
    assert said == [(line, key)]


UNFIT = [
    (f"notify: {SECRET}-{SECRET}", "expected a list"),
    (f"notify: {{url_env: {SECRET}-{SECRET}}}", "expected a list"),
    (f"notify: [{SECRET}-{SECRET}]", "expected a mapping of url_env and when"),
    (f"notify: [{{url_env: {SECRET}-{SECRET}}}]", "expected the name of an environment variable"),
    (f"notify: [{{url_env: A, when: {SECRET}-{SECRET}}}]", "expected one of always, on-change, on-failure"),
    (f"notify: [{{url_env: A, {SECRET}-{SECRET}: 1}}]", "unknown key; expected one of url_env, when"),
    ("notify: [{url_env: A, when: on-fail}]", "did you mean 'on-failure'?"),
    ("notify: [{url_en: A}]", "did you mean 'url_env'?"),
    ("notify: [{when: always}]", "missing url_env"),
    ("notify: [{url_env: 12}]", "expected the name of an environment variable"),
    ("notify: [{url_env: A, when: [always]}]", "expected one of always"),
    (f"notify: [{', '.join(f'{{url_env: A{n}}}' for n in range(11))}]", "at most 10"),
    ("notify: null", "expected a list"),
]


@pytest.mark.parametrize(("text", "words"), UNFIT, ids=range(len(UNFIT)))
def test_what_is_no_notifier_is_told_and_may_be_a_secret(load, text, words):
    with pytest.raises(BatchFileError, match="notify") as caught:
        load(text)
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)
