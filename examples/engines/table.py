r"""The engines beside one another, as a Markdown table, from the summaries of one or more sessions.

    pytest --finbot-batch examples/engines/finbot_engines.yaml -m "portfolio or bt" \
        --finbot-summary-json bt.json
    python examples/engines/table.py bt.json …

Seconds are those of the engine alone; the first run of an engine in a process imports it.

Needs nothing but Python: engines live in environments of their own.
"""

import json
import sys

STRATEGIES = {"weights": "fixed weights", "average": "moving average", "rotation": "momentum rotation"}


def main(files):
    runs, compared = {}, {}
    for file in files:
        with open(file, encoding="utf-8") as text:
            session = json.load(text)
        for batch in session["batches"]:
            runs |= {run["name"]: run for run in batch["runs"] if run["status"] == "success"}
            compared |= {each["run"]: each for each in batch["compared"]}
    print("| Strategy | Engine | Final NAV | Against built in | Seconds | Where the difference comes from |")
    print("|---|---|--:|--:|--:|---|")
    for prefix, strategy in STRATEGIES.items():
        for name in sorted(
            (name for name in runs if name.startswith(prefix)), key=lambda name: ("_" in name, name)
        ):
            run, against = runs[name], compared.get(name)
            share = "" if against is None else f"{against['final']['relative'] * 100:+.4f} %"
            print(
                f"| {strategy} | {run['engine']} | {run['metrics']['final_nav']:,.2f} | {share} | "
                f"{simulate(run):.2f} | {'' if against is None else reasons(against)} |"
            )


def simulate(run):
    """Seconds of the engine's own phase."""
    return next(phase["seconds"] for phase in run["phases"] if phase["name"] == "simulate")


def reasons(against):
    """Each step of the split that comes to something, in currency."""
    if against["why_not_split"]:
        return f"cannot be split: {against['why_not_split']}"
    steps = [(part["name"], part["change"]) for part in against["parts"]]
    told = [f"{name} {change:+,.0f}" for name, change in steps if abs(change) >= 0.5]
    rest = against["rest"]
    own = f"the engine's own {rest:+,.2f}" if abs(rest) >= 0.005 else "nothing else"
    return ", ".join([*told, own])


if __name__ == "__main__":
    main(sys.argv[1:])
