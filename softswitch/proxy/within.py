"""Requests that follow a Record-Route of ours within a dialog: whose, and whether they may. Pure.

RFC 3261 16.12. They go to the other side, as its own messages have shown it (``dialogs``), and
nowhere else. Of a dialog from before a restart nothing is known but what our value says.
"""

from typing import Final

import attrs

from softswitch.proxy.dialogs import Dialog, Dialogs, Side
from softswitch.proxy.routes import Arrived, Marks, Path, Way

#: Seconds for which our Record-Route value leads a BYE to the other side of an unknown dialog.
BYE_SECONDS: Final = 7 * 86_400


@attrs.frozen
class Within:
    """A request that follows a route of ours within a dialog.

    :ivar came: the request without that route.
    :ivar path: what the route says.
    :ivar by_caller: whether it is sent by who has made the dialog.
    :ivar dialog: None where it is not known.
    :ivar near: the side that has sent it; None where that is not known.
    :ivar far: the side that it is for; likewise.
    """

    came: Arrived
    path: Path
    by_caller: bool
    dialog: Dialog | None = None
    near: Side | None = None
    far: Side | None = None

    @property
    def way(self) -> Way:
        """To the other side, as our route says."""
        return self.path.to_callee if self.by_caller else self.path.to_caller

    @property
    def way_back(self) -> Way:
        """To who has sent it, as our route says."""
        return self.path.to_caller if self.by_caller else self.path.to_callee

    def may_pass(self, marks: Marks, now: float) -> bool:
        """Whether it is for where its other side is; of an unknown dialog a BYE is led there."""
        request = self.came.request
        if self.far is not None:
            return self.far.is_meant(request.request_uri, request.values("Route"))
        if self.dialog is not None or request.method != "BYE":
            return False
        of_it = self.by_caller or marks.is_for_caller(self.path, request)
        return of_it and now < self.path.made + BYE_SECONDS


def within(came: Arrived, marks: Marks, dialogs: Dialogs) -> Within | None:
    """Find the dialog of a request with a To tag; None where it follows no route of ours."""
    request, path = came.request, came.path
    if path is None:
        return None
    by_caller = marks.by_caller(path, request)
    tags = request.from_.tag or "", request.to.tag or ""
    caller, callee = tags if by_caller else tags[::-1]
    dialog = dialogs.find(request.call_id, caller)
    if dialog is None:
        return Within(came, path, by_caller)
    there = dialog.callees.get(callee)
    if by_caller:
        return Within(came, path, True, dialog, dialog.caller, there)
    known = there is not None or dialog.may_begin(request)
    return Within(came, path, False, dialog, there, dialog.caller if known else None)
