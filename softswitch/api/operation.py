"""What an operation of the API is, and which one a request means. Pure.

An operation says all that the OpenAPI document says of it, so that the two cannot differ: path,
parameters, body, answers, the role that it takes. It is handed a request that has been let in and
whose parameters have been read, and gives an answer, or a Deferred of one.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal
from urllib.parse import unquote

import attrs

from softswitch.api.problem import ProblemError
from softswitch.api.tokens import Caller, Role

JSON: Final = "application/json"

_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")


@attrs.frozen
class Parameter:
    """A parameter in the query.

    :ivar name: as it stands there.
    :ivar about: what it means.
    :ivar kind: what its value is.
    :ivar choices: the values that text may have; empty for any.
    :ivar least: of a number.
    :ivar most: likewise.
    :ivar longest: characters of a text.
    :ivar default: what it is where it is missing.
    """

    name: str
    about: str
    kind: Literal["string", "integer", "boolean"] = "string"
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 0
    longest: int = 256
    default: Any = None

    def read(self, text: str) -> Any:
        """Its value.

        :raises ProblemError: 400, it can have no such value.
        """
        if self.kind == "integer":
            value = int(text) if text.isascii() and _INTEGER.fullmatch(text) else None
            if value is None or not self.least <= value <= self.most:
                wanted = f"a whole number from {self.least} to {self.most} is wanted"
                raise ProblemError(400, wanted, self.name)
            return value
        if self.kind == "boolean":
            if text not in ("true", "false"):
                raise ProblemError(400, "true or false is wanted", self.name)
            return text == "true"
        if self.choices and text not in self.choices:
            raise ProblemError(400, f"one of these is wanted: {self.known}", self.name)
        if not 1 <= len(text) <= self.longest:
            raise ProblemError(400, f"1 to {self.longest} characters are wanted", self.name)
        return text

    @property
    def known(self) -> str:
        """Its choices, for people."""
        return ", ".join(self.choices)


@attrs.frozen
class Asked:
    """A request that has been let in.

    :ivar caller: whose it is.
    :ivar path: what stands in the place of the path's names.
    :ivar query: parameters, those too that were left out.
    :ivar body: of the operation's shape; None where it has none.
    :ivar headers: lower-case name -> value.
    """

    caller: Caller
    path: Mapping[str, str] = attrs.field(factory=dict)
    query: Mapping[str, Any] = attrs.field(factory=dict)
    body: Any = None
    headers: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Answer:
    """What an operation answers.

    :ivar body: an object that the operation's answers name; bytes as they are; None for nothing.
    :ivar kind: media type of bytes.
    :ivar headers: beyond the usual ones.
    """

    status: int = 200
    body: Any = None
    kind: str = JSON
    headers: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Stream:
    """An answer that goes on: server-sent events.

    :ivar begin: is handed what takes the bytes, and begins.
    """

    begin: Callable[[Any], object]


@attrs.frozen
class Operation:
    """One thing that can be asked for.

    :ivar name: for programs, and the audit: "hang_up".
    :ivar method: "GET", "POST", "DELETE".
    :ivar path: "/api/v1/calls/{id}".
    :ivar about: a sentence.
    :ivar handle: does it; gives an Answer, a Stream, or a Deferred of an Answer. Raises
        ProblemError.
    :ivar role: that it takes; None where everybody may.
    :ivar answers: status of a success -> what its body is: an attrs class, ``Any``; None for none.
    :ivar refusals: statuses of problems of its own, beyond those that any operation may have.
    :ivar parameters: in the query.
    :ivar body: attrs class of the request's body; None for none.
    :ivar read: makes it of JSON; raises ProblemError.
    :ivar kinds: media types of a success.
    """

    name: str
    method: str
    path: str
    about: str
    handle: Callable[[Asked], Any]
    role: Role | None = "view"
    answers: Mapping[int, Any] = attrs.field(factory=lambda: {200: Any})
    refusals: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    body: type | None = None
    read: Callable[[Any], Any] | None = None
    kinds: tuple[str, ...] = (JSON,)

    @property
    def changes(self) -> bool:
        """Whether it changes anything: then it is audited."""
        return self.method != "GET"

    @property
    def names(self) -> list[str]:
        """The names in its path."""
        return re.findall(r"\{(\w+)\}", self.path)

    def queried(self, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """What a query says: each parameter's value.

        :raises ProblemError: 400; names the parameter.
        """
        known = {each.name: each for each in self.parameters}
        found: dict[str, Any] = {}
        for name, text in pairs:
            parameter = known.get(name)
            if parameter is None:
                offered = f"known here: {', '.join(known)}" if known else "none is known here"
                raise ProblemError(400, f"there is no such parameter; {offered}", name[:100])
            if name in found:
                raise ProblemError(400, "it stands there twice", name)
            found[name] = parameter.read(text)
        return {name: found.get(name, each.default) for name, each in known.items()}


class Operations:
    """All operations, found by path and method."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._by_path: dict[str, dict[str, Operation]] = {}
        for each in operations:
            methods = self._by_path.setdefault(each.path, {})
            assert each.method not in methods, f"{each.method} {each.path} stands there twice"
            methods[each.method] = each
        patterns = [(path.split("/"), path) for path in self._by_path]
        # What is written out comes before what has a name in its place.
        self._patterns = sorted(patterns, key=lambda each: ["{" in part for part in each[0]])

    def __iter__(self) -> "Any":
        return (each for methods in self._by_path.values() for each in methods.values())

    def find(self, path: str) -> tuple[Mapping[str, Operation], dict[str, str]] | None:
        """What can be asked for at a path, by method, and what stands in the place of its names.

        :param path: as it stands in the request, percent-encoded.
        """
        parts = path.split("/")
        for pattern, name in self._patterns:
            if len(pattern) == len(parts):
                found = _matched(pattern, parts)
                if found is not None:
                    return self._by_path[name], found
        return None


def allowed(methods: Mapping[str, Operation]) -> str:
    """The methods of a path, as Allow has them (RFC 9110 10.2.1)."""
    known = [*methods, "OPTIONS", *(["HEAD"] if "GET" in methods else [])]
    return ", ".join(sorted(known))


def _matched(pattern: list[str], parts: list[str]) -> dict[str, str] | None:
    found = {}
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted.startswith("{"):
            if not part:
                return None
            found[wanted[1:-1]] = unquote(part, errors="surrogateescape")
        elif wanted != part:
            return None
    return found
