"""What becomes of a call whose media relay has died. Pure.

Its ports are gone, and both sides send to nobody. One that talks is offered anew, to each side what
the other holds to, by which both learn the ports of another relay; where a side does not agree, the
call ends, and its record says why. One that still rings goes on, and fails when it is answered.
"""

from softswitch.b2bua.bridge import MEDIA_LOST
from softswitch.b2bua.call import Call
from softswitch.b2bua.progress import Event, State


def reanchor(call: Call) -> None:
    """Lead the media of a call through whatever relay there is now."""
    bridge = call.legs.bridges.get(call.data.joined)
    if call.state is not State.TALKING:
        return
    if bridge is None or bridge.ended:
        call.fire(Event.HUNG_UP, None, None, MEDIA_LOST)
    else:
        bridge.reanchor()
