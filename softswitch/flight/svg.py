"""A ladder as an image: SVG that scales, reads in light and dark, and says what it shows. Pure."""

from typing import Final
from xml.sax.saxutils import escape, quoteattr

from softswitch.flight.ladder import Ladder, Row, iso

#: Units from one line to the next, from one row to the next, and around all.
_COLUMN: Final = 260
_ROW: Final = 30
_MARGIN: Final = 24
#: Where the first line stands, right of the times; and the first row, below the names.
_FIRST: Final = 200
_TOP: Final = 110
#: Characters that fit between two lines, and right of one.
_BETWEEN: Final = 36
_BESIDE: Final = 60

_STYLE: Final = """
svg { color-scheme: light dark; font: 13px ui-monospace, Menlo, Consolas, monospace;
  --ink: #1b1f24; --dim: #59636e; --paper: #ffffff; --line: #b7bfc8; --request: #0550ae;
  --good: #116329; --wait: #7d4e00; --bad: #a40e26; --timer: #6639ba; }
@media (prefers-color-scheme: dark) { svg { --ink: #e6edf3; --dim: #9da7b1; --paper: #0d1117;
  --line: #3d444d; --request: #79c0ff; --good: #7ee787; --wait: #e3b341; --bad: #ffa198;
  --timer: #d2a8ff; } }
.paper { fill: var(--paper); } text { fill: var(--ink); } .dim { fill: var(--dim); }
.line { stroke: var(--line); } .request { stroke: var(--request); fill: var(--request); }
.good { stroke: var(--good); fill: var(--good); } .wait { stroke: var(--wait); fill: var(--wait); }
.bad { stroke: var(--bad); fill: var(--bad); } .timer { stroke: var(--timer); fill: var(--timer); }
.arrow text, .mark text { stroke: none; } .again { opacity: .6; stroke-dasharray: 5 3; }
.head { font-weight: bold; }
"""


def svg(ladder: Ladder) -> str:
    """An SVG document; each arrow has its message as its title."""
    width = _FIRST + _COLUMN * max(0, len(ladder.participants) - 1) + 460
    height = _TOP + _ROW * (len(ladder.rows) + 1) + _MARGIN
    began = ladder.rows[0].at if ladder.rows else 0.0
    words = f"{len(ladder.rows)} things that happened, from {iso(began)} on."
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-labelledby="title desc">',
        f'<title id="title">{escape(ladder.title)}</title>',
        f'<desc id="desc">{escape(words)} {escape(_described(ladder))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{height}"/>',
        f'<text class="head" x="{_MARGIN}" y="30">{escape(ladder.title)}</text>',
        f'<text class="dim" x="{_MARGIN}" y="50">call {escape(ladder.id)}, {iso(began)}</text>',
    ]
    for place, each in enumerate(ladder.participants):
        x, name, address = _x(place), _cut(each.name, 30), _cut(each.address, 34)
        parts += [
            f'<text class="head" x="{x}" y="80" text-anchor="middle">{name}</text>',
            f'<text class="dim" x="{x}" y="97" text-anchor="middle">{address}</text>',
            f'<line class="line" x1="{x}" x2="{x}" y1="104" y2="{height - _MARGIN}"/>',
        ]
    for number, row in enumerate(ladder.rows):
        parts += _row(row, _TOP + _ROW * (number + 1), began)
    if ladder.dropped:
        parts.append(
            f'<text class="dim" x="{_MARGIN}" y="{height - 8}">{ladder.dropped} more are not kept '
            "any more</text>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _row(row: Row, y: int, began: float) -> list[str]:
    x = _x(row.source)
    when = f'<text class="dim" x="{_MARGIN}" y="{y}">{row.at - began:10.3f}</text>'
    kind = _class(row)
    if row.kind != "message":
        return [
            when,
            f'<g class="mark {kind}"><title>{escape(row.label)}</title>'
            f'<circle cx="{x}" cy="{y - 4}" r="5"/>'
            f'<text class="{kind}" x="{x + 12}" y="{y}">{_cut(row.label, _BESIDE)}</text></g>',
        ]
    end = _x(row.target)
    step = 1 if end > x else -1
    tip = f"M{end} {y} l{-9 * step} -5 v10 z"
    again = " again" if row.again else ""
    middle = (x + end) // 2
    return [
        when,
        f'<g class="arrow {kind}{again}" tabindex="0" role="img" aria-label={quoteattr(row.label)}>'
        f"<title>{escape(row.text)}</title>"
        f'<line x1="{x}" x2="{end}" y1="{y}" y2="{y}"/><path d="{tip}"/>'
        f'<text class="{kind}" x="{middle}" y="{y - 6}" text-anchor="middle">'
        f"{_cut(row.label, _BETWEEN)}</text></g>",
    ]


def _described(ladder: Ladder) -> str:
    """The first rows in words."""
    return " ".join(f"{row.label}." for row in ladder.rows[:20])


def _class(row: Row) -> str:
    if row.kind != "message":
        return {"timer": "timer", "decision": "request", "media": "wait"}.get(row.kind, "good")
    first = row.label[:1]
    if not first.isdigit():
        return "request"
    return {"1": "wait", "2": "good", "3": "wait"}.get(first, "bad")


def _x(place: int) -> int:
    return _FIRST + _COLUMN * place


def _cut(text: str, most: int) -> str:
    return escape(text if len(text) <= most else f"{text[: most - 1]}…")
