"""The nouns every layer speaks: what a run is, what an engine returns, what is recorded.

All of them are frozen. Arrays have T sessions (rows) and N assets (columns), are float64
in currency units of the run unless said otherwise, and are made read-only where they are
shared between runs. Sessions are ``datetime64[D]`` everywhere: pandas 2 and 3 disagree on
the resolution of an index, days do not.
"""

from pytest_finbot.contracts.gate import SERIES_CHECKS, Cause, CausePart, CheckSpec, Limit, PresetName, Waiver
from pytest_finbot.contracts.inputs import (
    CostSpec,
    DataDigest,
    DataSpec,
    Factor,
    FactorBundle,
    MarketData,
    RetrySpec,
    RunSpec,
    TargetWeights,
)
from pytest_finbot.contracts.records import CheckResult, ErrorInfo, PhaseResult, RunRecord
from pytest_finbot.contracts.results import EngineResult, Fills, RejectedOrder
from pytest_finbot.contracts.status import BatchStatus, ErrorCategory, RunStatus, Verdict
from pytest_finbot.contracts.types import (
    PERIODS_PER_YEAR,
    CostBooking,
    FillTiming,
    FloatArray,
    IntArray,
    Isolation,
    OutputFormat,
    RebalanceFreq,
    ReportName,
    SessionArray,
    Units,
)

__all__ = [
    "BatchStatus",
    "Cause",
    "CausePart",
    "CheckResult",
    "CheckSpec",
    "CostBooking",
    "CostSpec",
    "DataDigest",
    "DataSpec",
    "EngineResult",
    "ErrorCategory",
    "ErrorInfo",
    "Factor",
    "FactorBundle",
    "FillTiming",
    "Fills",
    "FloatArray",
    "IntArray",
    "Isolation",
    "Limit",
    "MarketData",
    "OutputFormat",
    "PERIODS_PER_YEAR",
    "PhaseResult",
    "PresetName",
    "RebalanceFreq",
    "RejectedOrder",
    "ReportName",
    "RetrySpec",
    "RunRecord",
    "RunSpec",
    "RunStatus",
    "SERIES_CHECKS",
    "SessionArray",
    "TargetWeights",
    "Units",
    "Verdict",
    "Waiver",
]
