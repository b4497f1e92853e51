"""Where a dialog goes on whose connection is gone. Pure.

RFC 5626 has a phone connect and register anew when its flow has failed; what goes on in its calls
follows it there.
"""

from collections.abc import Callable, Sequence

from softswitch.dialog import sips
from softswitch.dialog.dialog import Dialog
from softswitch.flow import Flow
from softswitch.plugin.views import BindingView
from softswitch.sip.uri import Uri

#: Where a user's phones can be reached now, by the user's name.
Locate = Callable[[str], Sequence[BindingView]]


def found_again(dialog: Dialog, gone: Flow, locate: Locate) -> Flow | Uri:
    """Where the next request of a dialog goes whose flow is gone.

    A phone is sought where it has registered since: under the same contact, else from the same
    host, else wherever its user has but one phone. One that has not can be called back, unless a
    NAT lies before it. What is protected stays so.

    :raises SipSyntaxError: when the first Route or the target is no URI.
    """
    if dialog.route_set:
        return dialog.first_route()
    found = locate(dialog.registered) if dialog.registered else ()
    flows = {
        each.contact: each.flow
        for each in found
        if each.flow is not None and (each.flow.secure or not dialog.secure)
    }
    near = [flow for flow in flows.values() if flow.remote_host == gone.remote_host]
    same = flows.get(dialog.remote_target)
    if same is not None:
        dialog.flow = same
    elif near or len(flows) == 1:
        dialog.flow = next(iter(near or flows.values()))
    elif (target := Uri.parse(dialog.remote_target)).host == gone.remote_host:
        return sips.over_tls(dialog.remote_target) if dialog.secure else target
    return dialog.flow
