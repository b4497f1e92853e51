"""The body of a request as an object of the shape that an operation wants. Pure."""

from collections.abc import Callable
from typing import Any

from softswitch import settings
from softswitch.api.problem import ProblemError
from softswitch.errors import ConfigError


def reader(shape: type) -> Callable[[Any], Any]:
    """What makes an object of an attrs class of JSON, strictly: no key too many, no other type.

    What it makes raises ProblemError, 400, and names the key.
    """
    read: Callable[[object, str, str], Any] = settings.reader(shape)

    def made(document: Any) -> Any:
        try:
            return read(document, "body", "")
        except ConfigError as error:
            key = error.where.removeprefix("body").removeprefix(": ")
            raise ProblemError(400, error.mend, key or "body") from None

    return made
