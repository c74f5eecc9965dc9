"""How answers are shown: as JSON, or as lines and tables that no name in them can break."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

_Command = TypeVar("_Command", bound=Callable[..., Any])

NOTHING: Final = "\N{EN DASH}"
"""What a cell without a value shows."""
_WIDE: Final = 100_000
"""Columns where nobody looks at a screen: nothing is folded, a line is a row."""
_MOST_TO_FIRST: Final = 0.6
"""Of a table's width, what its first column may have before it is folded."""
_PROBLEMS: Final = 50
_HUGE: Final = 1e15
_COMMIT: Final = 10
MOST: Final = 2**31 - 1
"""Of what can be counted in a page."""
_STYLES: Final = {
    **dict.fromkeys(("completed", "success", "identical", "within"), "green"),
    **dict.fromkeys(("failed", "moved", "error", "missing"), "red"),
    **dict.fromkeys(("partial", "cancelled", "pending", "new", "waived", "not_comparable"), "yellow"),
    "running": "cyan",
}


def json_option(command: _Command) -> _Command:
    """``--json``: the answer as one JSON document."""
    return click.option("--json", "as_json", is_flag=True, help="as one JSON document")(command)


def pager_option(command: _Command) -> _Command:
    """``--no-pager``: all at once, also on a terminal."""
    return click.option(
        "--no-pager", is_flag=True, help="all at once, also where it is longer than the terminal"
    )(command)


def shown(text: object) -> str:
    """``text`` as it can be shown anywhere: what moves a cursor or hides is spelled out."""
    said = str(text)
    if said.isprintable():
        return said
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in said
    )


def first_line(text: object, most: int = 200) -> str:
    """What a message says first, in at most so many characters; a cut is shown as ``…``."""
    line, _, rest = str(text).strip().partition("\n")
    said = shown(line)
    return f"{said[:most]}…" if len(said) > most or rest.strip() else said


def when(moment: object) -> str:
    """A time of a record, which is UTC, to the second."""
    return shown(moment)[:19].replace("T", " ") if moment else NOTHING


def seconds(value: object) -> str:
    """A duration of seconds, as ``12 ms``, ``3.4 s``, ``2 min 05 s`` or ``1 h 02 min``.

    What is no such number, which a damaged record may have, as it is.
    """
    if value is None:
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _HUGE:
        return shown(value)
    if value < 0.9995:
        return f"{value * 1000:.3g} ms"
    if value < 99.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02} min"


def number(value: object, spelling: str) -> str | None:
    """``value`` in the ``spelling`` of a format; in powers of ten beyond 15 digits, text as it is."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if abs(value) < _HUGE:
        return f"{value:{spelling}}"
    from decimal import Decimal

    sign = "+" if spelling.startswith("+") else ""
    return f"{value:{sign}.6g}" if isinstance(value, float) else f"{Decimal(value).normalize():{sign}.6g}"


def short_commit(commit: str) -> str:
    """The first ten characters of a revision; the ``+`` of a tree with changes stays."""
    return commit if len(commit) <= _COMMIT else commit[:_COMMIT] + "+" * commit.endswith("+")


def counts(numbers: Mapping[str, int]) -> str:
    """``3 engine_error, 1 timeout``; the most frequent first."""
    ordered = sorted(numbers.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{number:,} {shown(word)}" for word, number in ordered) or NOTHING


def counted(number: int, noun: str) -> str:
    """``1 run``, ``2,000 runs``: of nouns that take an s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def say_json(document: Mapping[str, Any]) -> None:
    """Write ``document`` as strict JSON. Only ASCII: a name may be none that the terminal can write."""
    click.echo(json.dumps(document, allow_nan=False, indent=2))


def tell_problems(problems: Sequence[str]) -> None:
    """On stderr what could not be read, each by its name."""
    for problem in problems[:_PROBLEMS]:
        click.echo(f"finbot: problem: {shown(problem)}", err=True)
    left = len(problems) - _PROBLEMS
    if left > 0:
        click.echo(f"finbot: and {left:,} more; all of them: finbot registry verify", err=True)


class Page:
    """What a command has to say, gathered, and then shown at once."""

    def __init__(self, *, pager: bool = True) -> None:
        from rich.console import Console

        self._terminal = sys.stdout.isatty()
        self._pager = pager and self._terminal
        self._written = io.StringIO()
        width = shutil.get_terminal_size().columns if self._terminal else _WIDE
        self._console = Console(
            file=self._written,
            width=width,
            force_terminal=self._terminal,
            markup=False,
            highlight=False,
            emoji=False,
        )

    def line(self, text: str = "", style: str | None = None) -> None:
        """A line of text that is known to be harmless, see :func:`shown`."""
        self._console.print(text, style=style, soft_wrap=True)

    def lines(self, text: str, indent: str = "    ") -> None:
        """A text of several lines, such as a traceback, each harmless."""
        for line in text.rstrip("\n").split("\n"):
            self.line(indent + shown(line.expandtabs(4)))

    def heading(self, text: str) -> None:
        self.line()
        self.line(text, style="bold")

    def fields(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Names with their values, one a line; those without a value are left out."""
        known = [(name, value) for name, value in pairs if value is not None and value != ""]
        width = max((len(name) for name, _ in known), default=0)
        for name, value in known:
            self.line(f"  {name:{width}}  {shown(value)}")

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, optional: Sequence[str] = ()
    ) -> None:
        """A table. A column whose title ends in ``>`` has its values to the right.

        ``optional`` titles are left out, the first first, where the terminal is too narrow
        for all; that is said.
        """
        cells = [[cell(value) for value in row] for row in rows]
        kept, left_out = _fitting(columns, cells, self._console.width, optional)
        titles = [columns[number] for number in kept]
        self._console.print(
            table(titles, [[row[number] for number in kept] for row in cells], self._console.width)
        )
        if left_out:
            self.line(f"no room for {', '.join(left_out)}: widen the terminal, or see --json", style="dim")

    def show(self) -> None:
        """Write it: a page at a time on a terminal that is shorter than it."""
        text = "".join(f"{line.rstrip()}\n" for line in self._written.getvalue().splitlines())
        stream = sys.stdout
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            # Where the terminal cannot write a name, its code is better than no answer.
            stream.reconfigure(errors="backslashreplace")
        if self._pager and text.count("\n") >= shutil.get_terminal_size().lines:
            click.echo_via_pager(text)
        else:
            click.echo(text, nl=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], width: int = 0) -> RenderableType:
    """Rows under titles; a title that ends in ``>`` has its values to the right.

    Cells are folded where ``width`` is too little for them; those of the first column, by
    which rows are called and copied, only where they would leave too little to the others.
    """
    from rich.table import Table
    from rich.text import Text

    cells = [[value if isinstance(value, Text) else cell(value) for value in row] for row in rows]
    longest = max((row[0].cell_len for row in cells if row), default=0)
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, title in enumerate(columns):
        whole = number == 0 and longest <= width * _MOST_TO_FIRST
        made.add_column(
            Text(title.removesuffix(">")),
            justify="right" if title.endswith(">") else "left",
            overflow="fold",
            no_wrap=whole,
            min_width=longest if whole else None,
        )
    for row in cells:
        made.add_row(*row)
    return made


def _fitting(
    columns: Sequence[str], cells: Sequence[Sequence[Text]], width: int, optional: Sequence[str]
) -> tuple[list[int], list[str]]:
    """Numbers of the columns that are shown, and titles of those that are not."""
    widths = [
        max((len(title.removesuffix(">")), *(row[number].cell_len for row in cells)))
        for number, title in enumerate(columns)
    ]
    titles = [title.removesuffix(">") for title in columns]
    kept = list(range(len(columns)))
    left_out = []
    for title in optional:
        if sum(widths[number] + 2 for number in kept) - 2 <= width:
            break
        kept.remove(titles.index(title))
        left_out.append(title)
    return kept, left_out


def cell(value: object) -> Text:
    """A cell: never markup, never a line break, the field's words in their colour."""
    from rich.text import Text

    if value is None or value == "":
        return Text(NOTHING, style="dim")
    said = shown(value)
    return Text(said, style=_STYLES.get(said, ""))


def live_console() -> Console:
    """The terminal itself, for what is drawn again and again."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False)
