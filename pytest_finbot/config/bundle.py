"""Factor bundles: a YAML or JSON file of weighted factors."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from pytest_finbot.config.models import BundleModel
from pytest_finbot.config.problems import Findings, describe
from pytest_finbot.config.source import Document, read_document
from pytest_finbot.contracts import Factor, FactorBundle
from pytest_finbot.errors import BatchFileError


def read_bundle(path: Path, shown: str) -> FactorBundle:
    """The bundle in ``path``; ``shown`` is the file's name in messages.

    Raises BatchFileError with every problem of the file, each with its line.
    """
    document = read_document(path, shown)
    findings = Findings(shown, document.positions)
    try:
        model = BundleModel.model_validate(document.root)
    except ValidationError as error:
        findings.add_invalid((), error, BundleModel)
        model = None
    _look_closer(document, findings)
    problems = sorted({*document.problems, *findings.sorted()}, key=lambda found: (found.line, found.key))
    if problems or model is None:
        raise BatchFileError(problems)
    low, high = model.options.winsorize_limits
    return FactorBundle(
        factors=tuple(
            Factor(factor.name, factor.weight, 1 if factor.direction == "positive" else -1)
            for factor in model.factors
        ),
        universe=model.universe,
        factor_set=model.factor_set,
        horizon_days=model.horizon_days,
        winsorize=model.options.winsorize,
        winsorize_limits=(low, high),
        zscore=model.options.zscore,
    )


def _look_closer(document: Document, findings: Findings) -> None:
    """What no single value shows: it looks at the file as it is, whatever else is wrong in it."""
    factors, options = document.root.get("factors"), document.root.get("options")
    if isinstance(factors, list):
        first: dict[str, int] = {}
        weights = []
        for number, factor in enumerate(factors):
            if not isinstance(factor, dict):
                continue
            weights.append(factor.get("weight"))
            name = factor.get("name")
            if isinstance(name, str) and first.setdefault(name, number) != number:
                line = document.positions.line(("factors", first[name], "name"))
                message = f"the factor '{name}' is given twice; it was first given on line {line}"
                findings.add(("factors", number, "name"), message)
        if weights and all(_is_number(weight) and weight == 0 for weight in weights):
            findings.add(("factors",), "all weights are 0; at least one must be above 0")
    if not isinstance(options, dict):
        return
    if options.get("neutralize_by") is not None:
        given = describe(options["neutralize_by"])
        findings.add(("options", "neutralize_by"), f"{given} is not available; leave null")
    limits = options.get("winsorize_limits")
    if isinstance(limits, list) and len(limits) == 2 and all(map(_is_number, limits)):
        low, high = limits
        if not 0 <= low < high <= 1:
            message = f"[{low}, {high}] are not two quantiles, 0 <= low < high <= 1"
            findings.add(("options", "winsorize_limits"), message)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
