"""The closure follows what can run, names what it cannot follow, and executes nothing."""

import hashlib
import importlib.machinery
import importlib.metadata
import os
import subprocess
import sys
import textwrap

import pytest

from pytest_finbot.fingerprint import UNKNOWN, code_closure, locate
from pytest_finbot.strategies.resolve import BUILT_IN


class Sources:
    """A user's folder of modules, first on ``sys.path``."""

    def __init__(self, path):
        self.path = path

    def file(self, name, text):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path


@pytest.fixture
def sources(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    return Sources(tmp_path)


def names(*roots, **options):
    return set(code_closure(roots, **options).modules)


def test_the_hash_of_a_module_is_that_of_its_bytes(sources):
    text = "x = 'é'\r\n"
    (sources.path / "rule_a.py").write_bytes(text.encode())
    assert code_closure(["rule_a"]).modules == {"rule_a": hashlib.sha256(text.encode()).hexdigest()}


@pytest.mark.parametrize(
    "statement",
    [
        "import rule_b",
        "import os, rule_b as b",
        "from rule_b import anything",
        "from rule_b import *",
        "def decide():\n    from rule_b import anything",
        "async def decide():\n    import rule_b",
        "class A:\n    import rule_b",
        "try:\n    import rule_b\nexcept ImportError:\n    pass",
        "try:\n    import nothing_there\nexcept ImportError:\n    import rule_b",
        "try:\n    pass\nfinally:\n    import rule_b",
        "with open('x'):\n    import rule_b",
        "for _ in ():\n    pass\nelse:\n    import rule_b",
        "while 0:\n    import rule_b",
        "match 1:\n    case 2:\n        import rule_b",
        "if 0:\n    pass\nelif 1:\n    import rule_b",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import rule_b",
        "from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    import rule_b",
    ],
)
def test_an_import_is_followed_wherever_it_stands(sources, statement):
    sources.file("rule_a.py", statement)
    sources.file("rule_b.py", "")
    assert names("rule_a") == {"rule_a", "rule_b"}


@pytest.mark.parametrize(
    "statement",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import rule_b",
        "import typing as t\nif t.TYPE_CHECKING:\n    from rule_b import x\nelse:\n    x = 1",
        "'import rule_b'",
        "# import rule_b",
    ],
)
def test_what_only_a_type_checker_or_a_reader_sees_is_not(sources, statement):
    sources.file("rule_a.py", statement)
    sources.file("rule_b.py", "")
    assert names("rule_a") == {"rule_a"}


PACKAGE = {
    "book/__init__.py": "from book.shared import x",
    "book/shared.py": "x = 1",
    "book/unused.py": "",
    "book/rules/__init__.py": "",
    "book/rules/fast.py": "",
    "book/rules/tools.py": "",
}


@pytest.mark.parametrize(
    ("statement", "further"),
    [
        ("", set()),
        ("from . import tools", {"book.rules.tools"}),
        ("from .tools import x", {"book.rules.tools"}),
        ("from .. import unused", {"book.unused"}),
        ("from ..unused import x", {"book.unused"}),
        ("from ... import unused", set()),
        ("from book import unused as u", {"book.unused"}),
        ("from book.rules import tools, no_module_but_a_name", {"book.rules.tools"}),
        ("import book.rules.tools", {"book.rules.tools"}),
    ],
)
def test_packages_count_with_their_init_and_relative_imports_lead_to_their_modules(
    sources, statement, further
):
    for name, text in PACKAGE.items():
        sources.file(name, text)
    sources.file("book/rules/fast.py", statement)
    assert names("book.rules.fast") == {"book", "book.shared", "book.rules", "book.rules.fast", *further}


def test_an_edit_in_the_closure_changes_that_hash_alone_and_an_edit_elsewhere_none(sources):
    for name, text in PACKAGE.items():
        sources.file(name, text)
    before = code_closure(["book.rules.fast"])
    sources.file("book/shared.py", "x = 2  # edited")
    after = code_closure(["book.rules.fast"])
    assert {name for name in after.modules if after.modules[name] != before.modules[name]} == {"book.shared"}
    sources.file("book/unused.py", "x = 3")
    sources.file("book/rules/tools.py", "x = 4")
    assert code_closure(["book.rules.fast"]) == after


def test_a_circle_of_imports_comes_to_an_end(sources):
    sources.file("rule_a.py", "import rule_b")
    sources.file("rule_b.py", "import rule_a, rule_b")
    assert names("rule_a") == names("rule_b") == {"rule_a", "rule_b"}


def test_nothing_is_executed(sources):
    sources.file("rule_a/__init__.py", "raise SystemExit('executed')")
    sources.file("rule_a/part.py", "import rule_a.other")
    sources.file("rule_a/other.py", "raise SystemExit('executed')")
    before = set(sys.modules)
    assert names("rule_a.part") == {"rule_a", "rule_a.part", "rule_a.other"}
    assert set(sys.modules) == before


def test_namespace_packages_have_no_file_and_hide_nothing(sources):
    sources.file("room/inner/rule.py", "from room.inner import other\nimport room.more")
    sources.file("room/inner/other.py", "")
    sources.file("room/more.py", "")
    assert names("room.inner.rule") == {"room.inner.rule", "room.inner.other", "room.more"}


def test_a_module_behind_a_relative_link_is_its_target(sources):
    sources.file("kept/here.py", "import rule_b")
    sources.file("rule_b.py", "")
    (sources.path / "rule_a.py").symlink_to(os.path.join("kept", "here.py"))
    before = code_closure(["rule_a"])
    assert set(before.modules) == {"rule_a", "rule_b"}
    sources.file("kept/here.py", "import rule_b  # edited")
    assert code_closure(["rule_a"]).modules["rule_a"] != before.modules["rule_a"]


@pytest.mark.parametrize(
    "statement",
    [
        "import importlib\nimportlib.import_module('x')",
        "from importlib import import_module as load",
        "import importlib.util as u\nu.spec_from_file_location('x', 'x.py')",
        "m = __import__('x')",
        "def f(code):\n    exec(code)",
        "f = eval",
        "import builtins\nbuiltins.exec('')",
        "import runpy",
        "from importlib.metadata import entry_points",
        "import sys\nsys.path.insert(0, 'lib')",
        "from sys import path",
    ],
)
def test_other_ways_to_import_are_told(sources, statement):
    sources.file("rule_a.py", "import rule_b")
    sources.file("rule_b.py", statement)
    assert code_closure(["rule_a"]).dynamic == ("rule_b",)


@pytest.mark.parametrize(
    "statement",
    [
        "import importlib",
        "frame.eval('a + b')",
        "model.exec",
        "import sys\nsys.exit",
        "from numpy import *",
        "from rule_c import *",
        "def evaluate(): ...",
    ],
)
def test_what_only_looks_like_one_is_not(sources, statement):
    sources.file("rule_a.py", statement)
    sources.file("rule_c.py", "")
    assert code_closure(["rule_a"]).dynamic == ()


def test_a_star_from_a_package_may_bring_modules_that_are_not_seen(sources):
    sources.file("rule_a.py", "from book import *")
    sources.file("book/__init__.py", "__all__ = ['part']")
    sources.file("book/part.py", "")
    assert code_closure(["rule_a"]).dynamic == ("rule_a",)


@pytest.mark.parametrize("text", ["def broken(:\n", "x = '\0'", "é = ("])
def test_source_that_does_not_parse_has_a_hash_and_imports_that_cannot_be_told(sources, text):
    sources.file("rule_a.py", text)
    closure = code_closure(["rule_a"])
    assert len(closure.modules["rule_a"]) == 64
    assert closure.dynamic == ("rule_a",)


def test_an_extension_is_hashed_by_its_bytes(sources):
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    (sources.path / f"rule_c{suffix}").write_bytes(b"\x7fELF")
    sources.file("rule_a.py", "import rule_c")
    closure = code_closure(["rule_a"])
    assert closure.modules["rule_c"] == hashlib.sha256(b"\x7fELF").hexdigest()
    assert closure.dynamic == ("rule_c",)


def test_a_module_without_source_is_unknown(sources):
    (sources.path / "rule_c.pyc").write_bytes(b"")
    sources.file("rule_a.py", "import rule_c")
    closure = code_closure(["rule_a", "nowhere_to_be_found", "sys"])
    assert closure.modules["rule_c"] == closure.modules["nowhere_to_be_found"] == UNKNOWN
    assert closure.modules["sys"] == UNKNOWN
    assert closure.dynamic == ("rule_c",)


def test_a_file_of_the_project_may_hide_one_of_the_standard_library(tmp_path, sources, monkeypatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    sources.file("this.py", "import that")
    sources.file("rule_a.py", "import this, json, os.path")
    assert names("rule_a") == {"rule_a", "this"}


def test_a_root_of_pythons_own_is_hashed_and_not_followed():
    assert names("json") == {"json"}


def test_installed_packages_are_named_by_their_distribution_and_not_followed(sources):
    sources.file("rule_a.py", "import numpy.linalg, pandas as pd\nimport yaml\nimport json")
    closure = code_closure(["rule_a"])
    assert set(closure.modules) == {"rule_a"}
    assert closure.distributions == ("PyYAML", "numpy", "pandas")


def test_an_optional_import_that_is_not_installed_stands_for_itself(sources):
    sources.file("rule_a.py", "try:\n    import never_installed.part\nexcept ImportError:\n    pass")
    assert code_closure(["rule_a"]).distributions == ("never_installed",)


def test_what_lies_in_site_packages_counts_where_it_is_a_root_or_has_no_distribution(tmp_path, monkeypatch):
    installed = Sources(tmp_path / "site-packages")
    installed.file("firm_rules/__init__.py", "")
    installed.file("firm_rules/fast.py", "from firm_rules import tools\nimport loose_file")
    installed.file("firm_rules/tools.py", "")
    installed.file("loose_file.py", "")
    monkeypatch.syspath_prepend(installed.path)
    assert names("firm_rules.fast") == {"firm_rules", "firm_rules.fast", "firm_rules.tools", "loose_file"}


def test_an_installed_distribution_beside_the_root_is_not_hashed(tmp_path, monkeypatch):
    installed = Sources(tmp_path / "site-packages")
    installed.file("firm_rules.py", "import firm_data")
    installed.file("firm_data.py", "")
    monkeypatch.syspath_prepend(installed.path)
    monkeypatch.setattr(
        "pytest_finbot.fingerprint.locate._packages", lambda: {"firm_data": ["firm-data", "firm-data"]}
    )
    closure = code_closure(["firm_rules"])
    assert set(closure.modules) == {"firm_rules"}
    assert closure.distributions == ("firm-data",)
    assert names("firm_rules", project=[installed.path]) == {"firm_rules", "firm_data"}


def test_a_root_may_be_a_file_that_nobody_can_import(tmp_path):
    project = Sources(tmp_path)
    test = project.file("checks/test_rules.py", "from .support import x\nimport rule_of_the_project")
    project.file("checks/__init__.py", "")
    project.file("checks/support.py", "")
    project.file("rule_of_the_project.py", "")
    closure = code_closure([], [test], project=[tmp_path])
    assert set(closure.modules) == {
        "checks",
        "checks.support",
        "checks/test_rules.py",
        "rule_of_the_project",
    }


def test_two_files_of_one_name_are_two(tmp_path):
    project = Sources(tmp_path)
    files = [project.file(f"{folder}/test_rules.py", folder) for folder in "ab"]
    assert len(code_closure([], files).modules) == 2


def test_a_built_in_strategy_brings_no_other_and_nothing_that_is_not_followed():
    for module, _ in BUILT_IN.values():
        closure = code_closure(["pytest_finbot.engines.portfolio", module])
        others = {other for other, _ in BUILT_IN.values()} - {module}
        assert module in closure.modules
        assert {"pytest_finbot", "pytest_finbot.engines.sizing"} <= set(closure.modules)
        assert others.isdisjoint(closure.modules)
        assert UNKNOWN not in closure.modules.values()
        assert closure.dynamic == ()
        assert set(closure.distributions) <= {"numpy", "pandas"}


def test_the_closure_is_the_same_in_every_process_and_hash_seed(sources):
    for name, text in PACKAGE.items():
        sources.file(name, text)
    sources.file(
        "book/rules/fast.py", "from . import tools\nimport importlib, numpy\nimportlib.import_module"
    )
    code = (
        "from pytest_finbot.fingerprint import code_closure\n"
        "print(code_closure(['book.rules.fast', 'pytest_finbot.engines.portfolio']))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(sources.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert seen == {f"{code_closure(['book.rules.fast', 'pytest_finbot.engines.portfolio'])}\n"}


def test_the_distributions_that_are_not_looked_up_are_those_that_would_be_found():
    found = importlib.metadata.packages_distributions()
    for top, known in locate._KNOWN_DISTRIBUTIONS.items():
        assert set(found[top]) == set(known)
