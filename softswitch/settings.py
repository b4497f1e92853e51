"""Tables of a configuration to attrs objects, strictly. Pure.

TOML's types are taken as they are: ``true`` is no number and ``"5060"`` is no port. The first
mistake is told as a ``ConfigError`` with the path of its key, ``listen[0].port``. It stands on
the ground floor because the options of a policy are read as the configuration itself is.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache, partial
from json import dumps
from math import isfinite
from operator import eq
from typing import Any, Literal, TypeVar, cast, get_args, get_origin

import attrs
from cattrs import (
    AttributeValidationNote,
    ClassValidationError,
    Converter,
    ForbiddenExtraKeysError,
    IterableValidationError,
)
from cattrs.cols import homogenous_tuple_structure_factory, list_structure_factory
from cattrs.gen import make_dict_structure_fn, make_mapping_structure_fn, override

from softswitch.errors import ConfigError

T = TypeVar("T")
Hook = Callable[[Any], Any]
Structure = Callable[[Any, Any], Any]

#: Metadata of a field that no file may set: ``attrs.field(default=..., metadata=NOT_IN_FILE)``.
NOT_IN_FILE = {"in_file": False}


def structure(
    table: object,
    shape: type[T],
    *,
    file: str,
    path: str = "",
    hooks: Mapping[Any, Hook] | None = None,
) -> T:
    """An object of the attrs class ``shape`` made from a TOML table.

    :param file: name of the file, for the error.
    :param path: where in the file the table stands, as ``policy[2]``; "" for the whole file.
    :param hooks: further types that fields may have -> what reads one. A hook raises ValueError
        whose text says what would be right.
    :raises ConfigError: names file, key and what would be right.
    """
    return reader(shape, hooks)(table, file, path)


def reader(
    shape: type[T], hooks: Mapping[Any, Hook] | None = None
) -> Callable[[object, str, str], T]:
    """What reads many tables of one shape: table, file and path as ``structure`` takes them."""
    # mypy takes a type[T] for something that has no hash.
    made: Callable[[object, str, str], T] = _reader(cast(Any, shape), tuple((hooks or {}).items()))
    return made


@lru_cache(maxsize=64)
def _reader(shape: Any, hooks: tuple[tuple[Any, Hook], ...]) -> Callable[[object, str, str], Any]:
    """The same, kept: cattrs compiles what it makes for a class. Classes that a reload has
    replaced are forgotten in time."""
    converter = _converter(hooks)

    def read(table: object, file: str, path: str) -> Any:
        return _structured(converter, table, shape, file, path)

    return read


def _structured(converter: Converter, table: object, shape: type[T], file: str, path: str) -> T:
    try:
        return converter.structure(table, shape)
    except Exception as error:
        if not isinstance(error, ValueError | ClassValidationError | IterableValidationError):
            raise
        path, mend = _first_mistake(error, path)
        raise ConfigError(f"{file}: {path}" if path else file, mend) from None


def shown(value: object) -> str:
    """A value as TOML writes it; a table or list in one word."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return dumps(value, ensure_ascii=False, default=str)


def nearest(word: str, words: list[str]) -> str:
    """What would be right in the place of ``word``: the word most like it, or all of them."""
    if not words:
        return "there are none"
    close = get_close_matches(word, words, 1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(words))}"


def key_path(path: str, key: str | int) -> str:
    """The path of what stands under ``key`` at ``path``, as TOML writes it; "" is the top."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    key = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else dumps(key, ensure_ascii=False)
    return f"{path}.{key}" if path else key


def _converter(hooks: Iterable[tuple[Any, Hook]]) -> Converter:
    """A converter that tests types instead of coercing; the last registered is asked first."""
    converter = Converter(structure_fallback_factory=lambda _: _not_from_a_file)
    for kind, words in ((int, "a whole number"), (str, "text in quotes"), (bool, "true or false")):
        converter.register_structure_hook(kind, _exactly(kind, words))
    converter.register_structure_hook(float, _number)

    def of_class(shape: Any) -> Structure:
        omitted: Any = {name: override(omit=True) for name in _fields(shape, in_file=False)}
        build = make_dict_structure_fn(shape, converter, _cattrs_forbid_extra_keys=True, **omitted)
        return _from(Mapping, "a table", build)

    def of_tuple(shape: Any) -> Structure:
        build = homogenous_tuple_structure_factory(shape, converter)
        return _from(list, "a list", build, of_tables=_holds_tables(shape))

    def of_list(shape: Any) -> Structure:
        build = list_structure_factory(shape, converter)
        return _from(list, "a list", build, of_tables=_holds_tables(shape))

    def of_mapping(shape: Any) -> Structure:
        return _from(Mapping, "a table", make_mapping_structure_fn(shape, converter))

    def of_literal(shape: Any) -> Structure:
        return _one_of(get_args(shape))

    converter.register_structure_hook_factory(attrs.has, of_class)
    for origin, factory in (
        (tuple, of_tuple),
        (list, of_list),
        (dict, of_mapping),
        (Mapping, of_mapping),
        (Literal, of_literal),
    ):
        converter.register_structure_hook_factory(partial(_originates, origin), factory)
    for wanted, hook in hooks:
        converter.register_structure_hook_func(partial(eq, wanted), partial(_told, hook))
    return converter


def _fields(shape: Any, *, in_file: bool = True) -> list[str]:
    """Names of the fields that a file may set, or of the others."""
    return [
        field.name
        for field in attrs.fields(shape)
        if (field.init and field.metadata.get("in_file", True)) is in_file
    ]


def _originates(origin: Any, shape: Any) -> bool:
    return get_origin(shape) is origin


def _told(hook: Hook, value: Any, _: Any) -> Any:
    return hook(value)


def _not_from_a_file(value: Any, _: Any) -> Any:
    raise ValueError("cannot be set in a configuration file")


def _exactly(kind: type, words: str) -> Structure:
    def check(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"{words} is wanted, not {shown(value)}")
        return value

    return check


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float) or not isfinite(value):
        raise ValueError(f"a number is wanted, not {shown(value)}")
    return float(value)


def _one_of(choices: tuple[Any, ...]) -> Structure:
    def check(value: Any, _: Any) -> Any:
        if value not in choices:
            words = " or ".join(map(shown, choices))
            raise ValueError(f"{words} is wanted, not {shown(value)}")
        return value

    return check


def _holds_tables(shape: Any) -> bool:
    """Whether a list's elements are tables: ``[[name]]`` begins each."""
    element = get_args(shape)[0]
    return attrs.has(element) or _originates(Mapping, element)


class _OneTableError(ValueError):
    """A table stands where a list of them does: brackets were forgotten."""


def _from(kind: type, words: str, build: Structure, *, of_tables: bool = False) -> Structure:
    def check(value: Any, shape: Any) -> Any:
        if of_tables and isinstance(value, Mapping):
            raise _OneTableError
        if not isinstance(value, kind):
            # Text may be a password in the wrong place.
            found = "text" if isinstance(value, str) else shown(value)
            raise ValueError(f"{words} is wanted, not {found}")
        return build(value, shape)

    return check


def _first_mistake(error: BaseException, path: str) -> tuple[str, str]:
    """Path of the key at fault and what would be right.

    A key that nobody knows comes first: its misspelling may be why another is missing.
    """
    if isinstance(error, _OneTableError):
        name = re.sub(r"\[[0-9]+\]", "", path)
        return path, f"a list is wanted, not a table: [[{name}]] begins each table of it"
    if not isinstance(error, ClassValidationError | IterableValidationError):
        return path, str(error)
    noted, plain = error.group_exceptions()
    for cause in plain:
        if isinstance(cause, ForbiddenExtraKeysError):
            key = min(cause.extra_fields)
            return key_path(path, key), f"no such key; {nearest(key, _fields(cause.cl))}"
    if not noted:
        return _first_mistake(plain[0], path)
    cause, note = noted[0]
    path = key_path(path, note.name if isinstance(note, AttributeValidationNote) else note.index)
    return (path, "is required") if isinstance(cause, KeyError) else _first_mistake(cause, path)
