"""``finbot schema``: what a batch file may look like, for editors."""

from __future__ import annotations

import click


@click.command()
def schema() -> None:
    """Print the JSON Schema of a batch file (draft 2020-12).

    finbot init writes it beside the batch file. To do so by hand:

    \b
        finbot schema > .finbot.schema.json
        # yaml-language-server: $schema=.finbot.schema.json   (first line of the batch file)

    It knows keys, types and choices. finbot validate FILE finds every mistake.
    """
    click.echo(schema_text(), nl=False)


def schema_text() -> str:
    """The schema as a JSON text that ends with a newline; the same for the same version."""
    import json

    from pytest_finbot.config.schema import batch_schema
    from pytest_finbot.engines.resolve import BUILT_IN as ENGINES
    from pytest_finbot.strategies.resolve import BUILT_IN as STRATEGIES

    return json.dumps(batch_schema(STRATEGIES, ENGINES), indent=1, ensure_ascii=False) + "\n"
