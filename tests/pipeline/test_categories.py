"""Which category an exception has: by its own type, by another's, by whole words, by phase, in this order."""

import asyncio
import concurrent.futures
import concurrent.futures.process
import concurrent.futures.thread
import copy
import errno
import multiprocessing
import os
import pickle
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finbot.config.expand import load_batch
from pytest_finbot.contracts import DataSpec, ErrorCategory, MarketData, RetrySpec, RunSpec
from pytest_finbot.errors import (
    BaselineError,
    DataError,
    EngineError,
    FinbotError,
    MissingDependencyError,
    MissingParameterError,
    ParameterError,
    RegistryError,
    RegressionError,
    RunCrashError,
    RunMemoryError,
    RunTimeoutError,
)
from pytest_finbot.pipeline.categories import categorize
from pytest_finbot.pipeline.execute import execute
from pytest_finbot.pipeline.failure import MAX_MESSAGE, MAX_TRACEBACK, describe
from pytest_finbot.pipeline.given_params import GivenParams
from pytest_finbot.pipeline.phases import PHASES, Phase

DATA, PARAMETER, ENGINE = ErrorCategory.DATA, ErrorCategory.PARAMETER, ErrorCategory.ENGINE
TIMEOUT, MEMORY, CRASH = ErrorCategory.TIMEOUT, ErrorCategory.MEMORY, ErrorCategory.CRASH
ENVIRONMENT, UNKNOWN, REGRESSION = ErrorCategory.ENVIRONMENT, ErrorCategory.UNKNOWN, ErrorCategory.REGRESSION

ALL_PHASES = ("config", *(phase.name for phase in PHASES))
OUR_PHASES = ("marks", "analytics", "risk", "costs", "checks")

SPEC = RunSpec(
    name="run",
    engine="portfolio",
    strategy="fixed_weights",
    params={"fast": 5, "slow": 20},
    symbols=("A",),
    start_date=date(2020, 1, 1),
    end_date=date(2020, 2, 1),
    start_capital=1.0,
    data=DataSpec("prices.csv"),
)


def raised_by(code):
    """What ``code()`` really raises."""
    try:
        code()
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError("it raised nothing")


def raised(error):
    def code():
        raise error

    return raised_by(code)


def no_log(kind, payload, *, flush=True):
    pass


def like(name, module, *bases):
    """A class of a library that need not be installed."""
    return type(name, bases, {"__module__": module})


class HaltError(BaseException):
    pass


# ------------------------------------------------------------------------------- the table

JoblibTerminatedError = like("TerminatedWorkerError", "joblib.externals.loky.process_executor", RuntimeError)
LokyTerminatedError = like("TerminatedWorkerError", "loky.process_executor", RuntimeError)
LokyBrokenError = like("BrokenPool", "loky.process_executor", concurrent.futures.process.BrokenProcessPool)
OursAndTheirsError = like("OursAndTheirsError", "theirs", EngineError, RuntimeError)
TorchOutOfMemoryError = like("OutOfMemoryError", "torch.cuda", RuntimeError)
NameAlikeError = like("TerminatedWorkerError", "strategies.unions", ValueError)
ArrowCapacityError = pa.lib.ArrowCapacityError

TABLE = [
    # Our own type, whatever the phase and the words.
    ("simulate", DataError("no prices"), DATA),
    ("market_data", EngineError("wrong shape"), ENGINE),
    ("market_data", ParameterError("fast must be below slow"), PARAMETER),
    ("simulate", MissingParameterError("fast_period", ("fast",)), PARAMETER),
    ("checks", RegressionError("NAV moved"), REGRESSION),
    ("checks", BaselineError("unreadable"), REGRESSION),
    ("simulate", RunTimeoutError("2 s have passed"), TIMEOUT),
    ("simulate", RunMemoryError("1 GiB is not enough"), MEMORY),
    ("simulate", RunCrashError("SIGSEGV"), CRASH),
    ("simulate", MissingDependencyError("bt is not installed"), ENVIRONMENT),
    ("checks", RegistryError("read-only"), ENVIRONMENT),
    ("simulate", FinbotError("out of memory"), UNKNOWN),
    ("simulate", EngineError("Unable to allocate 3.2 GiB"), ENGINE),
    ("simulate", OursAndTheirsError("out of memory"), ENGINE),
    # A type of others that means one thing.
    *((phase, MemoryError(), MEMORY) for phase in ALL_PHASES),
    ("simulate", np._core._exceptions._ArrayMemoryError((10,), np.dtype(float)), MEMORY),
    ("simulate", pa.lib.ArrowMemoryError("malloc of size 99 failed"), MEMORY),
    ("market_data", OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), MEMORY),
    ("simulate", ImportError("cannot import name 'Strategy' from 'bt'"), ENVIRONMENT),
    ("simulate", ModuleNotFoundError("No module named 'bt'"), ENVIRONMENT),
    ("marks", ImportError("DLL load failed"), ENVIRONMENT),
    *((phase, OSError(errno.ENOSPC, "No space left on device"), ENVIRONMENT) for phase in ALL_PHASES),
    *((phase, OSError(errno.EDQUOT, "Disk quota exceeded"), ENVIRONMENT) for phase in ALL_PHASES),
    *((phase, OSError(errno.EROFS, "Read-only file system"), ENVIRONMENT) for phase in ALL_PHASES),
    ("simulate", concurrent.futures.process.BrokenProcessPool("a child died"), CRASH),
    ("risk", concurrent.futures.BrokenExecutor("a child died"), CRASH),
    ("simulate", LokyTerminatedError("a worker was stopped"), CRASH),
    ("simulate", JoblibTerminatedError("a worker was stopped"), CRASH),
    ("simulate", LokyBrokenError("a worker was stopped"), CRASH),
    # No process dies with a pool of threads, and a name alone is nobody's type.
    ("simulate", concurrent.futures.thread.BrokenThreadPool("its initializer raised"), ENGINE),
    ("simulate", NameAlikeError("the contract was ended"), ENGINE),
    # Words, on types that say nothing.
    ("simulate", RuntimeError("Unable to allocate 3.2 GiB"), MEMORY),
    ("market_data", RuntimeError("Unable to allocate 3.2 GiB for an array with shape (9, 9)"), MEMORY),
    ("marks", RuntimeError("Unable to allocate 16 bytes"), MEMORY),
    ("simulate", OSError("cannot allocate memory"), MEMORY),
    ("simulate", RuntimeError("[Errno 12] Cannot allocate memory"), MEMORY),
    ("simulate", RuntimeError("failed to allocate memory for the panel"), MEMORY),
    ("simulate", RuntimeError("std::bad_alloc"), MEMORY),
    ("simulate", RuntimeError("bad alloc"), MEMORY),
    ("simulate", Exception("out of memory"), MEMORY),
    ("simulate", RuntimeError("Out of memory\nwhile the panel was built"), MEMORY),
    ("simulate", RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8 bytes"), MEMORY),
    ("simulate", TorchOutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), MEMORY),
    # Words that only look like it: whole ones count, and of the right trade.
    ("simulate", RuntimeError("maximum leverage exceeded"), ENGINE),
    ("simulate", RuntimeError("Drawdown limit exceeded"), ENGINE),
    ("simulate", RuntimeError("the room is full"), ENGINE),
    ("simulate", RuntimeError("time limit of the option has passed: timeout"), ENGINE),
    ("simulate", RuntimeError("Unable to allocate capital to AAPL"), ENGINE),
    ("simulate", RuntimeError("unable to allocate 30 % of NAV"), ENGINE),
    ("simulate", RuntimeError("cannot allocate 2 baskets"), ENGINE),
    ("simulate", RuntimeError("rotated out of memory stocks in May"), ENGINE),
    ("simulate", RuntimeError("bad allocation: weights sum to 1.2"), ENGINE),
    ("simulate", RuntimeError("ranout of memory"), ENGINE),
    ("simulate", RuntimeError("the import of a crash killed the memory"), ENGINE),
    # Words on a type that says something are not read.
    ("simulate", ValueError("out of memory"), ENGINE),
    ("simulate", KeyError("out of memory"), ENGINE),
    ("simulate", NotImplementedError("out of memory"), ENGINE),
    ("market_data", FileNotFoundError(errno.ENOENT, "No such file", "out of memory"), DATA),
    ("market_data", OSError(errno.EIO, "Input/output error", "out of memory"), DATA),
    # The phase.
    ("simulate", KeyError("fast_period"), ENGINE),
    ("simulate", AssertionError("NAV mismatch"), ENGINE),
    ("simulate", ZeroDivisionError("division by zero"), ENGINE),
    ("simulate", RecursionError("maximum recursion depth exceeded"), ENGINE),
    ("simulate", TimeoutError("the feed did not answer"), ENGINE),
    ("simulate", TimeoutError(errno.ETIMEDOUT, "Connection timed out"), ENGINE),
    ("market_data", TimeoutError("the share did not answer"), DATA),
    ("simulate", subprocess.TimeoutExpired("solver", 5), ENGINE),
    ("simulate", asyncio.CancelledError(), ENGINE),
    ("simulate", SystemExit(3), ENGINE),
    ("simulate", HaltError("stop"), ENGINE),
    ("simulate", GeneratorExit(), ENGINE),
    ("simulate", PermissionError(errno.EACCES, "Permission denied"), ENGINE),
    ("simulate", OSError([1], "an errno that is none"), ENGINE),
    ("simulate", ArrowCapacityError("array cannot contain more than 2147483646 bytes"), ENGINE),
    ("market_data", FileNotFoundError(errno.ENOENT, "No such file", "prices.csv"), DATA),
    ("market_data", UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), DATA),
    ("market_data", KeyError("Date"), DATA),
    ("config", TypeError("unhashable"), PARAMETER),
    # Our own code: nobody can say whose mistake it was.
    *((phase, ZeroDivisionError(), UNKNOWN) for phase in OUR_PHASES),
    *((phase, AssertionError("NAV mismatch"), UNKNOWN) for phase in OUR_PHASES),
    ("a phase of somebody else's", ValueError(), UNKNOWN),
    # What it was raised from does not decide.
    ("simulate", raised_by(lambda: exec("raise ValueError('window') from MemoryError()")), ENGINE),
    ("simulate", raised_by(lambda: exec("raise EngineError('x') from MemoryError()", globals())), ENGINE),
    ("simulate", raised_by(lambda: exec("raise MemoryError from ValueError('window')")), MEMORY),
    # Groups: what all agree on, else the phase.
    ("simulate", ExceptionGroup("two", [MemoryError(), RuntimeError("std::bad_alloc")]), MEMORY),
    ("simulate", ExceptionGroup("two", [MemoryError(), ValueError()]), ENGINE),
    ("checks", ExceptionGroup("two", [MemoryError(), DataError("x")]), UNKNOWN),
    ("simulate", ExceptionGroup("deep", [ExceptionGroup("in", [DataError("x")]), DataError("y")]), DATA),
    ("simulate", BaseExceptionGroup("exits", [SystemExit(1), SystemExit(2)]), ENGINE),
    ("marks", ExceptionGroup("out of memory", [ValueError()]), UNKNOWN),
]


@pytest.mark.parametrize(("phase", "error", "category"), TABLE)
def test_every_exception_has_one_category(phase, error, category):
    assert categorize(error, phase) is category
    assert describe(raised(error), phase).category is category


def test_real_exceptions_of_real_libraries():
    reader, _ = socket.socketpair()
    with reader, _:
        reader.settimeout(0.001)
        assert categorize(raised_by(lambda: reader.recv(1)), "simulate") is ENGINE
    assert categorize(raised_by(lambda: np.empty(2**58)), "simulate") is MEMORY
    assert categorize(raised_by(lambda: pa.allocate_buffer(2**62)), "simulate") is MEMORY
    assert categorize(raised_by(lambda: __import__("no_such_engine")), "simulate") is ENVIRONMENT
    assert categorize(raised_by(lambda: Path("/no/such/prices.csv").read_bytes()), "market_data") is DATA

    def recurse():
        return recurse()

    assert categorize(raised_by(recurse), "simulate") is ENGINE


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_really_full_disk_is_the_environments():
    def write():
        with open("/dev/full", "w") as file:
            file.write("a fill")

    assert categorize(raised_by(write), "simulate") is ENVIRONMENT


def test_a_pool_whose_process_really_died_is_a_crash():
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        error = raised_by(pool.submit(os._exit, 3).result)
    assert categorize(error, "simulate") is CRASH


# --------------------------------------------------------------------------------- params


def test_a_key_that_params_lack_is_the_parameters_fault_and_names_the_nearest():
    error = raised_by(lambda: GivenParams(fast=5, slow=20)["fastt"])
    assert isinstance(error, ParameterError)
    assert isinstance(error, KeyError)
    assert str(error) == (
        "params: the strategy needs the key 'fastt', which is missing; did you mean 'fast'? "
        "(given: fast, slow)"
    )
    info = describe(error, "simulate")
    assert info.category is PARAMETER
    assert info.expected
    assert info.traceback is None
    assert error.args[0] == "fastt"


def test_params_that_are_empty_say_so():
    message = str(raised_by(lambda: GivenParams()["fast"]))
    assert message == ("params: the strategy needs the key 'fast', which is missing; the run gives no params")


def test_a_key_of_any_type_can_be_asked_for():
    assert "the key 3," in str(raised_by(lambda: GivenParams({"a": 1, 2: 1})[3]))


def test_params_are_a_dict_in_every_other_way():
    params = GivenParams({"fast": 5, "nested": {"x": 1}})
    assert params == {"fast": 5, "nested": {"x": 1}}
    assert params == {"fast": 5, "nested": {"x": 1}}
    assert repr(params) == repr(dict(params))
    assert params.get("slow") is None
    assert params.get("slow", 7) == 7
    assert "slow" not in params
    assert "slow" not in list(params)  # asking put nothing in
    assert params.pop("slow", 7) == 7
    assert params.setdefault("new", 1) == 1
    assert {**params} == params | {}
    # A table inside is the strategy's own affair.
    assert type(raised_by(lambda: params["nested"]["y"])) is KeyError


@pytest.mark.parametrize("again", [copy.deepcopy, copy.copy, lambda it: pickle.loads(pickle.dumps(it))])
def test_params_and_their_error_can_be_copied_and_sent_to_another_process(again):
    params = GivenParams(fast=5)
    assert again(params) == params
    assert type(again(params)) is GivenParams
    error = raised_by(lambda: params["fats"])
    assert str(again(error)) == str(error)
    assert (again(error).key, again(error).given) == ("fats", ("fast",))


@pytest.fixture
def strategy_of(tmp_path, monkeypatch):
    """Executes a strategy's source in a whole run and gives its outcome."""
    monkeypatch.syspath_prepend(tmp_path)
    days = np.array(["2020-01-02", "2020-01-03"], "datetime64[D]")
    prices = np.ones((2, 1))

    def run(source, categorize=None):
        (tmp_path / "theirs.py").write_text(source)
        sys.modules.pop("theirs", None)

        def market_data(run):
            run.market = MarketData(days, ("A",), prices, "close", "here")
            return {}

        phases = [Phase("market_data", market_data, True), *PHASES[1:]]
        spec = replace(SPEC, strategy="theirs:decide")
        return execute(spec, no_log, phases=phases, categorize=categorize)

    return run


def test_the_two_key_errors_of_a_strategy_are_told_apart(strategy_of):
    of_params = strategy_of("def decide(spec, market):\n    return spec.params['fast_period']\n").error
    assert (of_params.category, of_params.type) == (PARAMETER, "MissingParameterError")
    assert of_params.message.endswith("(given: fast, slow)")
    of_its_own = strategy_of("def decide(spec, market):\n    return {}['fast_period']\n").error
    assert (of_its_own.category, of_its_own.type) == (ENGINE, "KeyError")
    assert "{}['fast_period']" in of_its_own.traceback


def test_a_strategy_that_expects_a_key_error_goes_on(strategy_of):
    source = (
        "import numpy as np\n"
        "def decide(spec, market):\n"
        "    try:\n"
        "        weight = spec.params['weight']\n"
        "    except KeyError as error:\n"
        "        assert error.args[0] == 'weight'\n"
        "        weight = 0.5\n"
        "    return np.full(market.close.shape, weight)\n"
    )
    assert strategy_of(source).error is None


@pytest.mark.parametrize(
    "line", ["raise SystemExit(0)", "import pytest; pytest.skip('no')", "raise GeneratorExit"]
)
def test_a_run_cannot_excuse_itself(strategy_of, line):
    assert strategy_of(f"def decide(spec, market):\n    {line}\n").error.category is ENGINE


def test_ctrl_c_ends_more_than_the_run(strategy_of):
    with pytest.raises(KeyboardInterrupt):
        strategy_of("def decide(spec, market):\n    raise KeyboardInterrupt\n")


# --------------------------------------------------------------------- hostile exceptions


class UnspeakableError(RuntimeError):
    def __str__(self):
        raise SystemExit("cannot be said")


class UnprintableArgument:
    def __repr__(self):
        raise ValueError("cannot be shown")


class LyingClassError(Exception):
    @property
    def __class__(self):
        raise RuntimeError("no class")


class PretendingError(Exception):
    @property
    def __class__(self):
        return MemoryError


class TracelessError(Exception):
    @property
    def __traceback__(self):
        raise RuntimeError("no traceback")

    @property
    def __cause__(self):
        raise RuntimeError("no cause")


class MutinousError(FinbotError):
    @property
    def category(self):
        raise RuntimeError("no category")


class MutinousOSError(OSError):
    @property
    def errno(self):
        raise RuntimeError("no errno")


class CauselessError(FinbotError):
    @property
    def __cause__(self):
        raise RuntimeError("no cause")


class SlipperyText(str):
    __slots__ = ()

    def encode(self, *args):
        raise RuntimeError("no bytes")

    def __len__(self):
        raise RuntimeError("no length")


class SlipperyError(Exception):
    def __str__(self):
        return SlipperyText("slippery")


class NamelessGroupError(ExceptionGroup):
    @property
    def exceptions(self):
        raise RuntimeError("no members")


class UnpicklableError(Exception):
    def __init__(self):
        super().__init__("holds a lock")
        self.lock = threading.Lock()


class OddCategoryError(FinbotError):
    category = "sunny"


class OddModuleError(Exception):
    __module__ = 5


@pytest.mark.parametrize(
    ("error", "category"),
    [
        (UnspeakableError(), ENGINE),
        (ValueError(UnprintableArgument()), ENGINE),
        (RuntimeError(UnprintableArgument()), ENGINE),
        (LyingClassError("x"), ENGINE),
        (PretendingError("x"), ENGINE),
        (TracelessError("x"), ENGINE),
        (MutinousOSError("x"), ENGINE),
        (SlipperyError(), ENGINE),
        (NamelessGroupError("x", [MemoryError()]), MEMORY),
        (UnpicklableError(), ENGINE),
        (OddModuleError("x"), ENGINE),
        (ValueError("\ud800 is half a letter"), ENGINE),
        (ValueError(), ENGINE),
        (type("N" * 100_000, (Exception,), {})("x"), ENGINE),
    ],
    ids=lambda value: type(value).__name__[:30],
)
def test_whatever_an_exception_does_it_is_told_with_its_place(error, category):
    def in_the_users_code():
        raise error

    info = describe(raised_by(in_the_users_code), "simulate")
    assert info.category is category
    assert info.type == type(error).__qualname__ or "cut" in info.type
    assert "in_the_users_code" in info.traceback
    assert pickle.loads(pickle.dumps(info)) == info
    for text in (info.type, info.message, info.traceback):
        assert type(text) is str
        assert len(text) < MAX_TRACEBACK + 200
        text.encode()


def test_an_error_of_ours_that_hides_its_cause_is_told_by_its_message():
    info = describe(raised(CauselessError("x")), "simulate")
    assert (info.category, info.message, info.traceback) == (UNKNOWN, "x", None)


def test_a_package_whose_name_begins_like_ours_keeps_its_frames():
    import pytest_finbot

    theirs = Path(pytest_finbot.__file__).parents[1] / "pytest_finbot_extras" / "engine.py"
    names = {}
    exec(compile("import json\ndef decide():\n    json.loads('{')\n", theirs, "exec"), names)
    error = raised_by(names["decide"])
    error.__traceback__ = error.__traceback__.tb_next  # as if called by us, and by no test
    assert "in decide" in describe(error, "simulate").traceback


@pytest.mark.parametrize("kind", [MutinousError, OddCategoryError])
def test_an_error_of_ours_without_a_usable_category_has_that_of_the_phase(kind):
    assert describe(raised(kind("x")), "simulate").category is ENGINE


def test_a_message_of_10_mb_is_cut_and_says_so():
    info = describe(raised(RuntimeError("x" * 10_000_000 + " std::bad_alloc")), "simulate")
    assert info.category is MEMORY
    assert len(info.message) < MAX_MESSAGE + 100
    assert "cut: 9,990,015 of 10,000,015 characters" in info.message
    assert len(info.traceback) < MAX_TRACEBACK + 100
    assert "… cut: " in info.traceback


def test_groups_within_groups_without_end_are_looked_into():
    group = MemoryError()
    for _ in range(5000):
        group = ExceptionGroup("deeper", [group])
    info = describe(raised(group), "simulate")
    assert info.category is MEMORY
    assert "in raised_by" in info.traceback


# ---------------------------------------------------------------------------------- hooks


def hook_raises(error, phase):
    raise LookupError("the plug-in is broken")


def hook_leaves(error, phase):
    raise SystemExit(0)


def hook_skips(error, phase):
    pytest.skip("nothing to say")


def hook_raises_the_unspeakable(error, phase):
    raise UnspeakableError


@pytest.mark.parametrize(
    ("hook", "fault"),
    [
        (hook_raises, "LookupError: the plug-in is broken"),
        (hook_leaves, "SystemExit: 0"),
        (hook_skips, "Skipped: nothing to say"),
        (hook_raises_the_unspeakable, "UnspeakableError: <UnspeakableError whose message cannot be read"),
        (lambda error, phase: "sunny", "ValueError: 'sunny' is not a valid ErrorCategory"),
        (lambda error, phase: 7, "ValueError: 7 is not a valid ErrorCategory"),
        (lambda error, phase: [], "ValueError: [] is not a valid ErrorCategory"),
        (lambda error, phase: UnprintableArgument(), "ValueError: cannot be shown"),
    ],
)
def test_a_hook_that_fails_hides_nothing_and_is_told(hook, fault):
    info = describe(raised(MemoryError("12 GiB")), "simulate", hook)
    assert info.category is MEMORY
    first, second = info.message.splitlines()
    assert first == "12 GiB"
    assert second.startswith(
        "(the hook pytest_finbot_categorize_error failed, and the category is the run's own: " + fault
    )
    theirs, hooks = info.traceback.split("Of the hook pytest_finbot_categorize_error, which failed:\n")
    assert "MemoryError: 12 GiB" in theirs
    assert hooks.startswith("Traceback")
    assert "12 GiB" not in hooks


def test_a_hooks_fault_beside_an_error_of_ours_is_told_without_a_traceback_of_that():
    info = describe(raised(ParameterError("fast is 0")), "simulate", hook_raises)
    assert (info.category, info.expected) == (PARAMETER, True)
    assert info.message.startswith("fast is 0\n")
    assert info.traceback.startswith("Of the hook")


def test_a_huge_message_does_not_push_the_hooks_fault_out():
    info = describe(raised(ValueError("x" * 1_000_000)), "simulate", hook_raises)
    assert "the plug-in is broken" in info.message
    assert "in hook_raises" in info.traceback


@pytest.mark.parametrize("answer", [ErrorCategory.DATA, "data_error"])
def test_a_hook_has_the_first_word_also_on_our_own_errors(answer):
    for error in (ValueError(), MemoryError(), EngineError("x")):
        assert describe(raised(error), "simulate", lambda error, phase: answer).category is DATA


def test_ctrl_c_in_a_hook_is_ctrl_c():
    def interrupted(error, phase):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        describe(raised(ValueError()), "simulate", interrupted)


def test_a_hook_that_fails_in_a_run_fails_nothing_else(strategy_of):
    outcome = strategy_of("def decide(spec, market):\n    raise ValueError('mine')\n", hook_raises)
    assert outcome.error.category is ENGINE
    assert outcome.error.message.startswith("mine\n")
    of_the_run, of_the_hook = outcome.error.traceback.split("Of the hook")
    assert "mine" in of_the_run
    assert "mine" not in of_the_hook
    assert [phase.status for phase in outcome.phases][:3] == ["success", "failed", "skipped"]
    assert outcome.phases[1].reason == "ValueError: mine"


# ------------------------------------------------------------------------------ invariants


@given(
    st.text(alphabet=st.characters(blacklist_characters="\n")),
    st.sampled_from([ValueError, KeyError, ArithmeticError]),
)
def test_no_words_move_an_exception_whose_type_says_something(text, kind):
    assert categorize(kind(text), "simulate") is ENGINE


@given(st.sampled_from(ALL_PHASES), st.sampled_from([MemoryError, ImportError, DataError, RegressionError]))
def test_no_phase_moves_an_exception_whose_type_is_decisive(phase, kind):
    assert categorize(kind("x"), phase) is categorize(kind("x"), "simulate")


# ------------------------------------------------------------------------- the user's page

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def example(language):
    return PAGE.read_text(encoding="utf-8").split(f"```{language}\n")[1].split("```")[0]


def test_the_page_names_every_category():
    text = PAGE.read_text(encoding="utf-8")
    assert [category for category in ErrorCategory if f"| `{category}` |" not in text] == []


def test_the_pages_hook_works():
    names = {}
    exec(example("python"), names)
    hook = names["pytest_finbot_categorize_error"]
    error = raised(RuntimeError("the license server is away"))
    assert describe(error, "simulate", hook).category is ENVIRONMENT
    assert describe(error, "checks", hook).category is UNKNOWN


def test_the_pages_batch_file_means_what_the_page_says(tmp_path):
    (tmp_path / "prices.csv").write_text("date,AAA,BBB\n")
    (tmp_path / "finbot.yaml").write_text(example("yaml"))
    plain, patient = load_batch(tmp_path / "finbot.yaml").runs
    assert (plain.timeout, plain.memory_limit, plain.retries) == (120.0, 2**31, RetrySpec(3))
    assert patient.isolation == "process"
    assert patient.retries == RetrySpec(3, (TIMEOUT, CRASH, ENVIRONMENT), 2.0, True)
