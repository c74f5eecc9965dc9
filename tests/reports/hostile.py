"""Names and messages that would do something where they are shown: every format shows them, and no more.

A name is a run's, a strategy's or an asset's; a message is what an engine raised or a person wrote. None
holds a lone surrogate, which no UTF-8 file can: :data:`SURROGATE` is the one for tests of that.
"""

from __future__ import annotations

from typing import Final

_CELL: Final = (
    "pipe|pipe||",
    "`code` ``two`` ```three",
    "\\",
    "ends in a backslash\\",
    "\\| \\` \\<",
)
_HTML: Final = (
    "</details></summary></table>",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- a comment -->",
    "<!-- finbot",
    '"><svg onload="alert(1)">',
    "&lt;b&gt; &amp; &#64;team &nbsp;",
    "<![CDATA[ x ]]> <?php ?> <!DOCTYPE html>",
)
_TOLD: Final = (
    "@team @octocat @org/team",
    "mail me@example.org",
    "#123 GH-1 owner/repo#1",
    "owner/repo@da39a3ee5e6b4b0d3255bfef95601890afd80709 da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "/close\n/merge",
    "!12 %3 ~label &4 $56 ^7 [vulnerability:1]",
)
_LINKED: Final = (
    "[a](javascript:alert(1)) ![i](https://evil.example/x.png)",
    "https://evil.example/x www.evil.example ftp://evil.example",
    "<https://evil.example> [r]: https://evil.example",
    "[^1] footnote [^1]: note [[wiki]] [x][r]",
)
_LOOKS: Final = (
    "$x$ $$\\frac{1}{0}$$ $`y`$ \\(z\\) \\[w\\]",
    "**bold** _it_ __b__ ~~gone~~ ~sub~ *a*",
    ":tada: :+1: :shipit:",
    "{{ 7 * 7 }} {% raise %} ${{ github.token }}",
    "=cmd|' /C calc'!A0",
)
_LINES: Final = (
    "# heading",
    "one\n# two\r\n\r\n- three\r---\n```\n    four",
    "- [ ] task",
    "1. one",
    "> [!WARNING]",
    "| a | b |\n|---|---|\n| c | d |",
    "    indented",
    "::error file=x::stop\n::set-output name=verdict::passed",
    "##[error]x %0A::notice::y",
    "NUL \x00 bell \x07 escape \x1b[2J\x1b]0;title\x07 \x9b31m",
)
_LETTERS: Final = (
    "bidi \u202egnp.exe\u202c \u2066x\u2069 \u061c",
    "zero\u200bwidth\u200d \ufeffjoin\u2060 \u00adsoft",
    "line\u2028separator\u2029paragraph\x85next",
    "tag \U000e0041\U000e007f private \ue000 no \ufffe \U0010ffff",
    "emoji 📈👩‍👩‍👧🏳️‍🌈 é e\u0301 ﷽",
    "zalgo Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324 " * 3,
    "CON", ".. /etc/passwd ../../x",
    "long" * 125,
    "w" + "|" * 250 + "@" * 249,
    " ",
    "",
)  # fmt: skip

NAMES: Final = (*_CELL, *_HTML, *_TOLD, *_LINKED, *_LOOKS, *_LINES, *_LETTERS)
"""Names in no order. The last two are empty to the eye."""

MESSAGES: Final = (
    *NAMES,
    "\n".join(_LINES),
    'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\n    1 / 0\n~~^~~\n'
    "ZeroDivisionError: @team",
    "</pre></code></details>\n\n# You have won\n\n[here](https://evil.example)",
    "```\n</details>\n~~~~\n<script>alert(1)</script>\n```",
    "a" * 20_000,
    "|" * 20_000,
    "<" * 20_000,
    "line\n" * 4_000,
)
"""What is said of something, some of it long."""

SURROGATE: Final = "lone \ud800 surrogate"
