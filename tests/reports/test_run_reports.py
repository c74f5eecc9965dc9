"""A run's reports as its folder holds them: Markdown for people, strict JSON for programs and charts."""

import dataclasses
import json
import re
from datetime import date

import numpy as np

from pytest_finbot.contracts import DataSpec, EngineResult, Fills, PartSpec, RunSpec
from pytest_finbot.reports.run_files import write_run_files
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.costs import analyse_costs
from pytest_finbot.valuation.metrics import compute_metrics
from pytest_finbot.valuation.own_part import own_part
from pytest_finbot.valuation.risk import analyse_risk

SPEC = RunSpec(
    name="held",
    engine="portfolio",
    strategy="fixed_weights",
    params={},
    symbols=("AAA", "BBB"),
    start_date=date(2019, 1, 1),
    end_date=date(2020, 12, 31),
    start_capital=1000.0,
    data=DataSpec("prices.csv"),
    reports=("summary", "risk", "tca"),
)


def a_result(rows=400, assets=("AAA", "BBB"), nav=None):
    """Ten units of each, bought on the first session; the second is sold half-way."""
    wave = 50.0 + 5.0 * np.sin(np.arange(rows) / 20.0)
    mark = np.stack((wave, np.full(rows, 20.0)), axis=1)
    quantity = np.full((rows, 2), 10.0)
    quantity[rows // 2 :, 1] = 0.0
    cash = 1000.0 - np.where(np.arange(rows) < rows // 2, 701.5, 502.0)
    fills = Fills(
        np.array([0, 0, rows // 2]),
        np.array([0, 1, 1]),
        np.array([10.0, 10.0, -10.0]),
        np.array([50.0, 20.0, 20.0]),
        np.array([1.0, 0.5, 0.5]),
        np.array([0.25, 0.0, 0.0]),
    )
    return EngineResult.of(
        sessions=np.datetime64("2019-01-01", "D") + np.arange(rows),
        assets=assets,
        nav=cash + (quantity * mark).sum(axis=1) if nav is None else nav,
        cash=cash,
        quantity=quantity,
        mark=mark,
        start_cash=1000.0,
        fills=fills,
    )


def written(folder, result, spec=SPEC):
    books = Books(result)
    metrics = compute_metrics(result, books)
    names = write_run_files(
        folder / "run",
        spec,
        result=result,
        market_values=books.market_values,
        metrics=metrics.values,
        undefined=metrics.undefined,
        risk=analyse_risk(result, books) if "risk" in spec.reports else None,
        costs=analyse_costs(result, books) if "tca" in spec.reports else None,
    )
    found = {name: (folder / "run" / name).read_text(encoding="utf-8") for name in names}
    assert sorted(found) == sorted(path.name for path in (folder / "run").iterdir())
    for name, text in found.items():
        if name.endswith(".json"):
            found[name] = json.loads(text, parse_constant=_refuse)
        else:
            assert "None" not in text.replace("None: wealth never fell", "")
            assert "nan" not in text.lower()
    return found


def _refuse(word):
    raise AssertionError(f"{word} is not JSON")


def tables(markdown):
    """Rows of every table, as lists of cells; all rows of one table are of one width."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", markdown, re.MULTILINE):
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]
        assert len({len(row) for row in rows}) == 1, block
        found.append(rows)
    return found


def test_every_report_is_words_data_and_material_for_charts(tmp_path):
    found = written(tmp_path, a_result())

    assert list(found) == [
        "summary_report.md",
        "summary_report.json",
        "risk_report.md",
        "risk_report.json",
        "risk_series.json",
        "tca_report.md",
        "tca_report.json",
        "tca_series.json",
    ]
    for name in ("risk_report", "tca_report", "risk_series", "tca_series"):
        assert found[f"{name}.json"]["run"] == "held"
    assert (
        "More: [risk_report.md](risk_report.md), [tca_report.md](tca_report.md)."
        in found["summary_report.md"]
    )


def test_only_what_is_asked_for_is_written(tmp_path):
    assert list(written(tmp_path, a_result(), dataclasses.replace(SPEC, reports=("tca",)))) == [
        "tca_report.md",
        "tca_report.json",
        "tca_series.json",
    ]


def test_the_risk_report_reads_as_its_data_says(tmp_path):
    found = written(tmp_path, a_result())
    markdown, data = found["risk_report.md"], found["risk_report.json"]

    figures, drawdowns, rolling, exposure, concentration, months = tables(markdown)
    assert "400 sessions, 2019-01-01 to 2020-02-04." in markdown
    assert ["VaR 5 %", f"{data['var_5'] * 100:.2f} %"] in figures
    assert [
        "worst day",
        f"{data['worst_day']['value'] * 100:.2f} % on {data['worst_day']['session']}",
    ] in figures
    assert len(drawdowns) == 2 + len(data["drawdowns"])
    assert [row[3:6:2] for row in drawdowns if row[3] == "not yet"] == [["not yet", "not yet"]]
    year = next(facts for facts in data["rolling"] if facts["window"] == 252)
    assert rolling[3][:2] == ["volatility, 252 sessions", f"{year['volatility_last'] * 100:.2f} %"]
    assert rolling[5][:2] == ["Sharpe ratio, 252 sessions", f"{year['sharpe_last']:.3f}"]
    assert [row[0] for row in exposure[2:]] == ["gross", "net", "long", "short", "cash"]
    largest = data["concentration"]["largest"]
    assert concentration[2][2:4] == [f"{largest['max'] * 100:.2f} % (`AAA`)", largest["max_on"]]
    assert [row[0] for row in months[2:]] == ["2019", "2020"]
    assert months[3][1] == f"{data['years'][1]['months'][0] * 100:.2f}"
    assert months[3][-2:] == ["\N{EN DASH}", f"{data['years'][1]['total'] * 100:.2f}"]
    assert "the window of 63 sessions is not full before 2019-03-04" in markdown


def test_the_columns_for_charts_are_the_series_the_report_is_about(tmp_path):
    result = a_result()
    found = written(tmp_path, result)

    columns = found["risk_series.json"]["by_session"]
    assert columns["nav"] == result.nav.tolist()
    assert columns["session"] == result.sessions.astype(str).tolist()
    assert min(columns["drawdown"]) == found["risk_report.json"]["drawdowns"][0]["depth"]
    assert columns["rolling_sharpe_252"][:251] == [None] * 251
    assert None not in columns["rolling_sharpe_252"][251:]
    assert (
        found["risk_series.json"]["undefined"]["by_session.rolling_sharpe_252"]
        == "the window of 252 sessions is not full before 2019-09-09"
    )
    costs = found["tca_series.json"]
    assert costs["by_session"]["costs"][-1] == found["tca_report.json"]["costs"] == 2.25
    assert len(costs["by_month"]["month"]) == len(costs["by_month"]["traded"]) == 14
    assert costs["undefined"] == {}


def test_the_cost_report_reads_as_its_data_says(tmp_path):
    markdown = written(tmp_path, a_result())["tca_report.md"]

    figures, by_year, by_symbol, dearest = tables(markdown)
    assert ["costs", "2.25"] in figures
    assert ["of which fees", "2.00 (88.89 %)"] in figures
    assert ["of which slippage", "0.25 (11.11 %)"] in figures
    assert [row[:4] for row in by_year[2:]] == [["2019", "365", "3", "900.00"], ["2020", "35", "0", "0.00"]]
    assert [row[0] for row in by_symbol[2:]] == ["`AAA`", "`BBB`"]
    assert dearest[2][:5] == ["2019-01-01", "`AAA`", "10", "50", "500.00"]
    assert [row[2] for row in dearest[2:]] == ["10", "10", "-10"]


def test_hostile_names_stay_text_in_every_report(tmp_path):
    hostile = ("A|B<script>", "@team **x** \n# `y`\u202e\ud800")
    spec = dataclasses.replace(SPEC, description="</details> @all | $x$ [link](http://x)", symbols=hostile)

    found = written(tmp_path, a_result(assets=hostile), spec)

    for name in ("risk_report.md", "tca_report.md", "summary_report.md"):
        text = re.sub("</?code>|<!-- -->", "", found[name])  # of ours
        assert "<" not in text
        assert "@" not in text
        assert "\u202e" not in text
        assert "\n# `y`" not in text
        tables(text)
    assert "A&#124;B&#60;script&#62;" in found["risk_report.md"]
    assert "U+D800" in found["tca_report.md"]
    assert {row["symbol"] for row in found["tca_report.json"]["by_symbol"]} == set(hostile)


def test_a_run_too_short_for_anything_says_so_in_words(tmp_path):
    found = written(tmp_path, a_result(rows=2))

    markdown = found["risk_report.md"]
    assert "undefined: fewer than 63 sessions: there are 2" in markdown
    assert found["risk_series.json"]["by_session"]["rolling_volatility_63"] == [None, None]
    tables(markdown)


def test_an_account_in_debt_has_reports_that_say_what_it_does_not_have(tmp_path):
    result = a_result(nav=np.full(400, -5.0))
    found = written(tmp_path, result)

    markdown = found["risk_report.md"]
    for heading in ("Worst drawdowns", "Rolling volatility and Sharpe ratio", "Returns by month, in percent"):
        section = markdown.split(f"## {heading}\n")[1].split("\n## ")[0]
        assert "Undefined: NAV is -5.00 on 2019-01-01: a return needs one above zero." in section
    assert "undefined: NAV is -5.00 on 2019-01-01: a share of it needs one above zero" in markdown
    assert "undefined: mean NAV is -5.00" in found["tca_report.md"]
    assert found["risk_report.json"]["exposure"]["gross"] is None
    assert found["risk_series.json"]["by_session"]["exposure_gross"] == [None] * 400
    tables(markdown)
    tables(found["tca_report.md"])


def test_a_run_that_never_traded_and_never_fell_has_reports_too(tmp_path):
    nothing = np.zeros((300, 2))
    result = dataclasses.replace(
        a_result(300), nav=np.full(300, 1e3), cash=np.full(300, 1e3), quantity=nothing, fills=Fills.none()
    )
    found = written(tmp_path, result)

    assert "None: wealth never fell below an earlier value." in found["risk_report.md"]
    assert (
        "undefined: the window of 252 sessions is not full before 2019-09-09; volatility is zero"
        in (found["risk_report.md"])
    )
    assert "Undefined: nothing was held on any session." in found["risk_report.md"]
    assert "undefined: nothing was traded" in found["tca_report.md"]
    assert "By symbol" not in found["tca_report.md"]


def test_a_part_says_what_it_is_a_part_of(tmp_path):
    own_from = date(2019, 7, 1)
    spec = dataclasses.replace(SPEC, part=PartSpec("held", "slice", 2, own_from))

    found = written(tmp_path, own_part(a_result(), own_from), spec)

    for name in ("risk_report.md", "tca_report.md"):
        assert "219 sessions, 2019-07-01 to 2020-02-04." in found[name]
        assert "executed from 2019-01-01; this is its own part, from 2019-07-01 on" in found[name]
    assert "own part, from 2019-07-01 on" in found["summary_report.md"]
    assert found["tca_report.json"]["fills"] == 1


def test_the_summary_says_what_came_and_went_beside_capital_and_final_nav(tmp_path):
    rows = 400
    flows, income = np.zeros(rows), np.zeros((rows, 2))
    flows[[10, 20, 300]] = 500.0, 250.5, -300.0
    income[[50, 250], 0] = 20.0, 30.25
    result = a_result(rows)
    moved = np.cumsum(flows + income.sum(axis=1))
    result = dataclasses.replace(
        result, flows=flows, income=income, nav=result.nav + moved, cash=result.cash + moved
    )

    found = written(tmp_path, result)

    account = found["summary_report.json"]["account"]
    assert account == {
        "start": 1000.0,
        "deposits": 750.5,
        "withdrawals": -300.0,
        "income": 50.25,
        "gains": account["gains"],
        "final_nav": result.nav[-1],
    }
    assert round(account["gains"], 9) == round(a_result(rows).nav[-1] - 1000.0, 9)
    markdown = found["summary_report.md"]
    assert tables(markdown)[1][2:] == [
        ["capital", "1,000.00"],
        ["deposits", "750.50"],
        ["withdrawals", "-300.00"],
        ["dividends and interest", "50.25"],
        ["price gains less costs", f"{account['gains']:,.2f}"],
        ["final NAV", f"{account['final_nav']:,.2f}"],
    ]
    assert "Returns are time-weighted: deposits and withdrawals are no performance." in markdown

    # Of a part, only what came and went in its own sessions, from what the account was worth before.
    own_from = date(2019, 7, 1)
    spec = dataclasses.replace(SPEC, part=PartSpec("held", "slice", 2, own_from), reports=("summary",))
    part = written(tmp_path, result, spec)
    row = int(np.searchsorted(result.sessions, np.datetime64(own_from)))
    names = ("start", "deposits", "withdrawals", "income")
    account = part["summary_report.json"]["account"]
    assert [account[name] for name in names] == [result.nav[row - 1], 0.0, -300.0, 30.25]
    assert "| NAV of the session before | " in part["summary_report.md"]


def test_without_flows_or_income_the_summary_has_its_metrics_alone(tmp_path):
    markdown = written(tmp_path, a_result())["summary_report.md"]

    assert len(tables(markdown)) == 1
    assert "time-weighted" not in markdown
