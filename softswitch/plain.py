"""State as plain data: attrs objects to JSON-able values and back. Pure.

What a call knows can be written down after any event and rebuilt equal; this is the one place
that says how.
"""

from typing import Any, TypeVar

from cattrs.preconf.json import make_converter

T = TypeVar("T")

_converter = make_converter()


def to_plain(state: Any) -> Any:
    """Numbers, text, lists and dicts that ``json.dumps`` takes; bytes become base85 text."""
    return _converter.unstructure(state)


def from_plain(shape: type[T], plain: Any) -> T:
    """The state of class ``shape`` that ``to_plain`` was given."""
    return _converter.structure(plain, shape)
