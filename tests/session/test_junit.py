"""JUnit XML has the verdict and the metrics of every run as properties of its test."""

import xml.etree.ElementTree as ET

import pytest

OURS = """\
def broken(spec, market):
    raise RuntimeError("::error::out of paper ]]> <b> & \\x00\\x1b[2J \\u202e \\ud800 ##[error]x")
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_properties_of_each_run_and_valid_xml_whatever_was_raised(project, workers):
    runs = "- {id: same}\n- {id: other, params: {weights: {AAA: WEIGHT}}}\n"
    project.gated(runs.replace("WEIGHT", "0.5"))
    project.write("ours.py", OURS)
    project.compared(runs.replace("WEIGHT", "0.4") + "- {id: broken, strategy: 'ours:broken'}\n")
    result = project.pytest("-v", "-n", workers, "--junitxml", "junit.xml")
    assert result.ret == 1
    cases = {
        case.get("name"): {one.get("name"): one.get("value") for one in case.iter("property")}
        for case in ET.parse(project.path / "junit.xml").iter("testcase")
    }
    same, other, broken = (cases[name] for name in ("same", "other", "broken"))
    assert (same["finbot.status"], same["finbot.verdict"]) == ("success", "identical")
    assert not {"finbot.category", "finbot.largest_bp", "finbot.first_session"} & same.keys()
    assert (other["finbot.verdict"], other["finbot.category"]) == ("moved", "regression")
    assert other["finbot.first_session"] == "2020-01-02" or other["finbot.first_session"] == "2020-01-03"
    rows = project.rows()
    for name, column in (
        ("final_nav", "final_nav"),
        ("sharpe", "sharpe"),
        ("max_drawdown", "max_drawdown"),
        ("final_nav_change", "final_nav_change"),
        ("largest_bp", "largest_bp"),
    ):
        assert float(other[f"finbot.{name}"]) == float(rows["other"][column].lstrip("'"))
    assert other["finbot.run_id"] == rows["other"]["run_id"]
    assert (broken["finbot.category"], broken["finbot.phase"]) == ("engine_error", "simulate")
    text = result.stdout.str()
    assert "  reports made in " in text
    for harm in ("\x1b[2J", "\u202e", "##[error]"):
        assert harm not in text
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
