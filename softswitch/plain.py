"""State as plain data: attrs objects to JSON-able values and back. Pure.

What a call knows can be written down after any event and rebuilt equal; this is the one place
that says how.
"""

from collections.abc import Callable
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


def shape(kind: type[T], write: Callable[[T], Any], read: Callable[[Any], T]) -> None:
    """Teach how a class that is no attrs class is written down.

    :param write: gives numbers, text, bytes, lists and dicts.
    :param read: rebuilds it from these; what were bytes is for ``from_plain(bytes, ...)``.
    """
    _converter.register_unstructure_hook(kind, lambda value: to_plain(write(value)))
    _converter.register_structure_hook(kind, lambda written, _: read(written))
