"""Price files of a path, without a run that says which of them is meant, and how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pytest_finbot.errors import DataError
from pytest_finbot.market.ohlcv import (
    SymbolBars,
    is_file_of,
    looks_like_bars,
    no_symbol_files,
    symbol_bars,
    symbol_files,
)
from pytest_finbot.market.prices import PriceTable, prices_of_bars, prices_of_wide, require_symbols
from pytest_finbot.market.table_file import (
    SUFFIXES,
    read_table_file,
    require_exists,
    require_regular,
    stem_of,
    suffix_of,
)
from pytest_finbot.market.wide import WideTable, wide_table

Field = Literal["close", "adj_close"]


@dataclass(frozen=True, slots=True)
class PriceFile:
    """One file, and the symbol it is named after, which is that of its bars if it holds bars."""

    path: Path
    symbol: str

    def read(self) -> WideTable | SymbolBars:
        """Raises DataError where it cannot be read."""
        table = read_table_file(self.path)
        return symbol_bars(table) if looks_like_bars(table) else wide_table(table)


def price_files(path: Path, symbols: Sequence[str] | None) -> tuple[PriceFile, ...]:
    """``path`` itself, or the files in that folder by symbol: those of ``symbols``, or all.

    Raises DataError where there is no such file, or are two for one symbol.
    """
    require_exists(path, "FILE")
    require_regular(path)
    if not path.is_dir():
        if suffix_of(path.name) is None:
            raise DataError(
                f"{path}: neither a batch file nor prices; expected .yaml, .yml, .json, {', '.join(SUFFIXES)}"
            )
        return (PriceFile(path, stem_of(path.name)),)
    found = symbol_files(path)
    if not found:
        raise no_symbol_files(path)
    if symbols is not None:
        require_symbols(symbols, found, str(path))
    files: dict[str, PriceFile] = {}
    # A history of bars goes by two names: by the shorter where nobody says.
    for symbol in sorted(found, key=lambda name: (len(name), name)) if symbols is None else symbols:
        if len(found[symbol]) > 1:
            raise DataError(f"{path}: two files for symbol '{symbol}': {', '.join(found[symbol])}; keep one")
        name = found[symbol][0]
        files.setdefault(name, PriceFile(path / name, symbol))
    return tuple(sorted(files.values(), key=lambda file: file.symbol) if symbols is None else files.values())


def tables_of(
    file: PriceFile, content: WideTable | SymbolBars, symbols: Sequence[str] | None, field: Field | None
) -> Iterator[PriceTable]:
    """Tables of what was read: one of a wide file, whose prices are ``field`` or else ``close``;
    of bars one a field that they have, or the one that is named.

    ``symbols`` are taken from a wide file in that order. Raises DataError for those that are not
    there, and for a field that bars do not have.
    """
    if isinstance(content, WideTable):
        wide = prices_of_wide(content, None, field or "close")
        if symbols is None:
            yield wide
        else:
            require_symbols(symbols, wide.symbols, wide.source)
            yield wide.of([wide.symbols.index(name) for name in symbols])
        return
    name = file.symbol if symbols is None else _own(symbols, file)
    there: dict[Field, object] = {"close": content.close, "adj_close": content.adj_close}
    wanted = [one for one, values in there.items() if values is not None] if field is None else [field]
    for one in wanted:
        yield prices_of_bars({name: content}, one, str(file.path))


def _own(symbols: Sequence[str], file: PriceFile) -> str:
    if file.symbol in symbols:
        return file.symbol
    if len(symbols) == 1 and is_file_of(symbols[0], file.path):
        return symbols[0]
    raise DataError(f"{file.path}: bars of one symbol, '{file.symbol}' by its name, not {', '.join(symbols)}")
