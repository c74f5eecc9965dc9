"""The keys of a batch file. Their JSON Schema is made of them in :mod:`pytest_finbot.config.schema`.

``defaults`` and every run are checked each by itself, as a part of a run; what a run needs
in all is known once the two are put together (see :mod:`pytest_finbot.config.expand`).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field, WithJsonSchema

from pytest_finbot.config.actions import Dividends, FlowModel, Multipliers, Splits
from pytest_finbot.config.attempts import MemoryLimit, Retries, Timeout
from pytest_finbot.config.checks import ChecksModel
from pytest_finbot.config.comparing import CompareWith
from pytest_finbot.config.fields import (
    Amount,
    BatchName,
    FilePath,
    IsoDate,
    Local,
    Name,
    Positive,
    RunId,
    Said,
    Seed,
    SnapshotId,
    Strict,
    Symbols,
    Tag,
)
from pytest_finbot.config.marks import MarksModel
from pytest_finbot.config.notify import Notify
from pytest_finbot.config.older_form import OlderKeys
from pytest_finbot.config.waivers import WaiverModel
from pytest_finbot.config.windows import OrFalse
from pytest_finbot.contracts import (
    CostBooking,
    DividendBooking,
    FillTiming,
    Isolation,
    MissingPolicy,
    OutputFormat,
    PresumedFault,
    RebalanceFreq,
    RejectedOrders,
    ReportName,
    Units,
)

DEFAULT_CAPITAL = 100_000.0
"""Currency units a run starts with where the file says nothing."""


_ENTRIES = {"type": "array", "items": {"type": "object", "minProperties": 1}}

Matrix = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                {"const": False},
                {
                    "type": "object",
                    "properties": {"include": _ENTRIES, "exclude": _ENTRIES},
                    "additionalProperties": {"type": "array", "minItems": 1},
                    "propertyNames": {"not": {"enum": ["id", "matrix", "windows"]}},
                    "minProperties": 1,
                },
            ]
        }
    ),
]
"""Read by :mod:`pytest_finbot.config.matrix`, value by value; the model only knows that it may be there."""
WindowsOrFalse = Annotated[Any, OrFalse()]
"""Read by :mod:`pytest_finbot.config.windows`."""


class DataModel(Strict):
    """Where prices are and how they are read."""

    noun: ClassVar[str] = "data"

    source: Local = "local"
    path: FilePath = ""
    field: Literal["close", "adj_close"] = "close"
    calendar: str | None = None
    missing: MissingPolicy = "error"
    missing_limit: int = Field(default=5, ge=1)
    open_path: FilePath | None = None
    snapshot: SnapshotId | None = None
    allow: list[PresumedFault] = Field(default_factory=list)


class CostsModel(Strict):
    """What trading costs: basis points of traded value, currency per share."""

    noun: ClassVar[str] = "costs"

    commission_bps: Amount = 0.0
    commission_per_share: Amount = 0.0
    slippage_bps: Amount = 0.0
    booking: CostBooking = "targeted"


class DefaultsModel(OlderKeys):
    """Keys that a run may have and ``defaults`` may give to all."""

    noun: ClassVar[str] = "a run"

    description: str = ""
    engine: Name = "portfolio"
    strategy: str = ""
    params: dict[str, Any] = Field(default_factory=dict)
    symbols: Symbols = Field(default_factory=list)
    symbols_file: FilePath = ""
    bundle_path: FilePath | None = None
    factors_path: FilePath | None = None
    # Absent until a level gives them; null is not a date.
    start_date: IsoDate = cast(Any, None)
    end_date: IsoDate = cast(Any, None)
    start_capital: Positive = DEFAULT_CAPITAL
    data: DataModel = Field(default_factory=DataModel)
    rebalance_freq: RebalanceFreq = "M"
    costs: CostsModel = Field(default_factory=CostsModel)
    fill: FillTiming = "close"
    units: Units = "fractional"
    min_trade: Amount = 0.0
    max_gross_exposure: Positive | None = None
    cash_buffer: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    rejected_orders: RejectedOrders = "fail"
    seed: Seed | None = None
    tags: list[Tag] = Field(default_factory=list)
    reports: list[ReportName] = Field(default_factory=list)
    outputs: list[OutputFormat] = Field(default_factory=list)
    timeout: Timeout = None
    memory_limit: MemoryLimit = None
    isolation: Isolation = "auto"
    # None where a level says nothing: building an empty one for each of 10,000 runs takes time.
    retries: Retries = cast(Any, None)
    checks: ChecksModel = cast(Any, None)
    marks: MarksModel = cast(Any, None)
    flows: list[FlowModel] = cast(Any, None)
    dividends: Dividends = cast(Any, None)
    splits: Splits = cast(Any, None)
    dividend_booking: DividendBooking = "cash"
    multipliers: Multipliers = cast(Any, None)
    compare_with: CompareWith = None


class OneRunModel(DefaultsModel):
    """One run: its id, and whatever it does not take from ``defaults``."""

    id: RunId


class RunModel(OneRunModel):
    """A run of a batch file, which a matrix or windows of its own may turn into many."""

    matrix: Matrix = None
    windows: WindowsOrFalse = None


class BatchHead(Strict):
    """The batch's own keys."""

    noun: ClassVar[str] = "a batch"

    batch_name: BatchName
    description: str = ""
    output_root: FilePath = "output"
    engine: Name = "portfolio"
    max_workers: int | None = Field(default=None, ge=1)
    durability: Literal["item", "second"] = "item"
    checks: ChecksModel = cast(Any, None)
    baseline: Said = cast(Any, None)
    waivers: list[WaiverModel] = Field(default_factory=list)
    notify: Notify = Field(default_factory=list)
    matrix: Matrix = None
    windows: WindowsOrFalse = None


class BatchModel(BatchHead):
    """A whole batch file."""

    defaults: DefaultsModel = Field(default_factory=DefaultsModel)
    runs: list[RunModel] = Field(min_length=1)


class FactorModel(Strict):
    """One factor of a bundle; weights are relative to one another."""

    noun: ClassVar[str] = "a factor"

    name: Name
    weight: Amount
    direction: Literal["positive", "negative"] = "positive"


class BundleOptionsModel(Strict):
    """How each session's cross-section of a factor is treated before factors are added."""

    noun: ClassVar[str] = "options"

    winsorize: bool = False
    winsorize_limits: list[float] = Field(default_factory=lambda: [0.01, 0.99], min_length=2, max_length=2)
    zscore: bool = True
    neutralize_by: Any = None


class BundleModel(Strict):
    """A factor bundle's file."""

    noun: ClassVar[str] = "a factor bundle"

    universe: str | None = None
    factor_set: str | None = None
    horizon_days: int | None = Field(default=None, ge=1)
    factors: list[FactorModel] = Field(min_length=1)
    options: BundleOptionsModel = Field(default_factory=BundleOptionsModel)
