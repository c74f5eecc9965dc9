"""JUnit XML and the log of runs that raise whatever can be raised: both can be read, and nothing is lost."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

from pytest_finbot.reports.terminal import harmless_text
from tests.reports.hostile import MESSAGES, SURROGATE

OURS = """\
import json
from pathlib import Path

SAID = json.loads(Path(__file__).with_name("said.json").read_text())


def broken(spec, market):
    raise RuntimeError(SAID[int(spec.name.removeprefix("run_"))])
"""


def test_every_message_is_in_the_xml_and_in_the_log(project):
    said = [*MESSAGES, SURROGATE]
    project.write("ours.py", OURS)
    (project.path / "said.json").write_text(json.dumps(said))
    project.batch("".join(f"- {{id: run_{n}, strategy: 'ours:broken'}}\n" for n in range(len(said))))
    result = project.pytest(
        "--junitxml", "junit.xml", "--finbot-isolation=inline", "--finbot-log-json=log.jsonl"
    )
    assert result.ret == 1
    cases = {case.get("name"): case for case in ET.parse(project.path / "junit.xml").iter("testcase")}
    assert len(cases) == len(said)
    logged = {}
    for line in (project.path / "log.jsonl").read_text("utf-8").split("\n"):
        if line:
            document = json.loads(line)
            if document.get("phase") == "simulate" and document.get("status") == "failed":
                logged[document["run"]] = document["reason"]
    terminal = result.stdout.str()
    assert not re.search(
        r"^\s*::|##\[|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", terminal, re.M
    )
    for n, message in enumerate(said):
        case = cases[f"run_{n}"]
        properties = {one.get("name"): one.get("value") for one in case.iter("property")}
        assert properties["finbot.category"] == "engine_error"
        assert properties["finbot.run_id"].endswith(f"/run_{n}")
        failure = case.find("failure")
        assert failure is not None
        whole = " ".join("".join(failure.itertext()).split())
        told = harmless_text(f"RuntimeError: {message}").encode("utf-8", "backslashreplace").decode()
        assert " ".join(told.split())[:300] in whole, (n, message[:80], whole[:300])
        assert logged[f"run_{n}"]
