"""Calls of phones in web pages that are forwarded (RFC 7118): we stay between them and the others,
who could not reach each other."""

import pytest


@pytest.mark.parametrize("hangs_up", ["caller", "callee"])
@pytest.mark.parametrize("page", ["caller", "callee"])
def test_a_page_and_a_phone(proxying, page, hangs_up):
    """Each side finds the listener that it sees in our Record-Route, and what follows in the dialog
    finds the WebSocket again, whose Contact leads nowhere (RFC 3261 16.6 step 4, RFC 5658)."""
    stage = proxying("bob")
    kinds = {"caller": ("WS", "UDP"), "callee": ("UDP", "WS")}[page]
    alice, bob = (
        stage.phone(name, transport=kind)
        for name, kind in zip(("alice", "bob"), kinds, strict=True)
    )
    line = alice.call("bob")
    invite = bob.line.invite
    assert [via.transport for via in invite.vias] == [*kinds[::-1]]
    far, near = (route.uri for route in invite.record_routes)
    web, plain = (near, far) if page == "caller" else (far, near)
    host, port = (alice if page == "caller" else bob).switch
    assert (web.host, web.port, web.params["transport"]) == (host, port, "ws")
    assert "transport" not in plain.params
    bob.ring()
    bob.answer()
    assert line.statuses == [180, 200]
    assert bob.line.methods == ["INVITE", "ACK"]
    (alice if hangs_up == "caller" else bob).hang_up()
    assert (line.over, bob.line.over) == (True, True)
