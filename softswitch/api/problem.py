"""What went wrong with a request, as a problem document (RFC 9457). Pure."""

from http import HTTPStatus

import attrs

#: Media type of a problem document.
PROBLEM = "application/problem+json"


class ProblemError(Exception):
    """A request cannot be served.

    :ivar status: HTTP status.
    :ivar detail: what is wrong, and what would be right.
    :ivar field: the parameter, header field or key of the body at fault; "" for none of them.
    :ivar headers: that go with the answer.
    """

    def __init__(
        self, status: int, detail: str, field: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.field = field
        self.headers = headers or {}

    @property
    def document(self) -> "Problem":
        """What the answer says."""
        return Problem(self.status, HTTPStatus(self.status).phrase, self.detail, self.field)


@attrs.frozen
class Problem:
    """What went wrong with a request (RFC 9457).

    :ivar status: HTTP status.
    :ivar title: its phrase.
    :ivar detail: what is wrong, and what would be right.
    :ivar field: the parameter, header field or key of the body at fault; "" for none of them.
    :ivar type: says no more than the status.
    """

    status: int
    title: str
    detail: str
    field: str = ""
    type: str = "about:blank"
