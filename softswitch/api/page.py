"""The page in the browser: files of the package, as they are. Pure but for reading them.

They are read once, at the start. The page has no more rights than whoever looks at it: it asks the
API for all that it shows, with his token. Its policy lets it load nothing from elsewhere, run no
script that is not a file of ours, and be framed by nobody.
"""

from collections.abc import Iterable
from importlib.resources import files
from typing import Final

import attrs

from softswitch.api.operation import Answer, Asked, Operation
from softswitch.api.problem import ProblemError

#: Ending of a file -> its media type.
KINDS: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "txt": "text/plain",
}

#: What the browser is to hold the page to.
POLICY: Final = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'"
}


@attrs.frozen
class Greeting:
    """What everybody may know.

    :ivar token_wanted: whether who asks needs a token for anything else.
    """

    token_wanted: bool


class Page:
    """The operations that give the page's files."""

    def __init__(self) -> None:
        folder = files("softswitch.api") / "static"
        self._files = {
            each.name: each.read_bytes()
            for each in folder.iterdir()
            if each.name.rpartition(".")[2] in KINDS
        }

    def operations(self) -> Iterable[Operation]:
        """Those that there are."""
        return (
            Operation(
                "page",
                "GET",
                "/",
                "The page for a browser.",
                lambda asked: self._answer("index.html"),
                None,
                answers={200: str},
                kinds=("text/html",),
            ),
            Operation(
                "page_file",
                "GET",
                "/page/{file}",
                "A file that belongs to the page.",
                self.file,
                None,
                answers={200: str},
                refusals=(404,),
                kinds=tuple(KINDS.values()),
            ),
            Operation(
                "greeting",
                "GET",
                "/api/v1/greeting",
                "Whether a token is wanted, so that a page can ask for it before it is refused.",
                lambda asked: Answer(body=Greeting(not asked.caller.name)),
                None,
                answers={200: Greeting},
            ),
        )

    def file(self, asked: Asked) -> Answer:
        """See ``operations``."""
        return self._answer(asked.path["file"])

    def _answer(self, name: str) -> Answer:
        """
        :raises ProblemError: 404.
        """
        body = self._files.get(name)
        if body is None:
            raise ProblemError(404, "the page has no such file", "file")
        kind = KINDS[name.rpartition(".")[2]]
        return Answer(body=body, kind=f"{kind}; charset=utf-8", headers=POLICY)
