"""What goes out: where a response goes, which listener faces a peer, what cannot be sent."""

from ipaddress import ip_network

import pytest

from softswitch.errors import TransportError
from softswitch.flow import Flow
from softswitch.sip.parser import parse
from softswitch.transport.layer import Destination
from softswitch.transport.listener import Facing, Listener

SWITCH = ("10.0.0.1", 5060)
SOURCE = Flow("udp", "UDP", "10.0.0.1", 5060, "10.0.0.9", 40000)


@pytest.mark.parametrize(
    ("via", "force_rport", "expected"),
    [
        ("10.0.0.9:5062;rport", False, ("10.0.0.9", 40000)),
        ("192.168.1.5:5062;rport", False, ("10.0.0.9", 40000)),
        ("10.0.0.9:5062", False, ("10.0.0.9", 5062)),
        ("10.0.0.9", False, ("10.0.0.9", 5060)),
        ("192.168.1.5:5062", False, ("10.0.0.9", 5062)),
        ("phone.local", False, ("10.0.0.9", 5060)),
        ("192.168.1.5:5062", True, ("10.0.0.9", 40000)),
        ("10.0.0.9:5062;maddr=10.0.0.77", False, ("10.0.0.77", 5062)),
        ("10.0.0.9;maddr=10.0.0.77;rport", False, ("10.0.0.77", 5060)),
        ("10.0.0.9:5062;maddr=10.0.0.77", True, ("10.0.0.9", 40000)),
        ("10.0.0.9:5062;maddr=name.example", False, ("10.0.0.9", 5062)),
        ("10.0.0.9:5062;maddr=2001:db8::1", False, ("10.0.0.9", 5062)),
    ],
)
def test_where_a_response_goes_over_udp(switch, request_bytes, via, force_rport, expected):
    """``rport``: the source (RFC 3581 section 4). Else ``maddr``, else the source address, at
    the sent-by port or 5060 (RFC 3261 18.2.2). A peer known to need it: always the source."""
    request = parse(request_bytes(f"SIP/2.0/UDP {via};branch=z9hG4bK1"))
    request.stamp(SOURCE.remote_host, SOURCE.remote_port)
    back = switch.layer.response_flow(request, SOURCE, force_rport)
    assert (back.remote_host, back.remote_port) == expected
    assert back.listener == "udp"


def test_a_response_leaves_through_the_listener_of_its_request(make_switch, request_bytes):
    """So that a NAT's or a firewall's pinhole fits (RFC 3581 section 4)."""
    other = Listener("other", "UDP", "10.0.0.1", 5070)
    switch = make_switch(Listener("first", "UDP", "10.0.0.1", 5060), other)
    phone = switch.network.attach("10.0.0.9", 40000)
    phone.send(request_bytes("SIP/2.0/UDP 10.0.0.9;rport;branch=z9hG4bK1"), ("10.0.0.1", 5070))
    switch.clock.run()
    [(request, flow)] = switch.above.messages
    switch.layer.send(b"answer", switch.layer.response_flow(request, flow))
    switch.clock.run()
    assert phone.received[0].source == ("10.0.0.1", 5070)


def test_a_response_goes_back_on_its_connection(switch, request_bytes):
    """On the connection of the request while it lives, whatever the Via says; when it has
    ended, on a new one to the source address at the sent-by port (RFC 3261 18.2.2)."""
    phone = switch.network.attach("10.0.0.9", 5066, "TCP")
    phone.send(request_bytes("SIP/2.0/TCP 10.0.0.9:5066;branch=z9hG4bK1"), SWITCH)
    switch.clock.run()
    [(request, flow)] = switch.above.messages
    assert switch.layer.response_flow(request, flow) is flow
    assert flow.serial == 1
    phone.stream(SWITCH).close()
    switch.clock.run()
    assert not switch.layer.is_alive(flow)
    back = switch.layer.response_flow(request, flow)
    assert (back.remote_host, back.remote_port, back.serial) == ("10.0.0.9", 5066, 2)
    switch.layer.send(request_bytes(), back)
    switch.clock.run()
    assert [received.data for received in phone.received] == [request_bytes()]


def test_the_same_peer_is_the_same_flow(switch, request_bytes):
    """A request to a UDP peer has the flow of that peer's own requests."""
    phone = switch.network.attach("10.0.0.9", 5060)
    phone.send(request_bytes(), SWITCH)
    switch.clock.run()
    assert switch.layer.flow_to("UDP", "10.0.0.9", 5060) == switch.above.messages[0][1]


def test_what_cannot_be_sent_raises(switch):
    """No listener for the transport or address family, a name, a stranger's listener, an ended
    connection, a datagram beyond 65,507 bytes: TransportError."""
    layer = switch.layer
    for destination in (
        Destination("TCP", "2001:db8::9", 5060),
        Destination("TLS", "10.0.0.9", 5061),
        Destination("UDP", "phone.example.com", 5060),
    ):
        with pytest.raises(TransportError):
            layer.flow_to(*destination)
    for flow in (SOURCE._replace(listener="gone"), SOURCE._replace(transport="TCP", serial=7)):
        assert not layer.is_alive(flow)
        with pytest.raises(TransportError):
            layer.send(b"x", flow)
    with pytest.raises(TransportError):
        layer.send(b"x" * 65508, SOURCE)


def test_the_facing_comes_from_the_flows_listener(make_switch):
    """Via, Contact and media addresses are those that the flow's peer can reach."""
    switch = make_switch(
        Listener(
            "cloud",
            "UDP",
            "10.0.0.1",
            5060,
            advertise_host="203.0.113.7",
            advertise_port=5080,
            media_host="203.0.113.8",
            local_networks=(ip_network("10.0.0.0/8"),),
        )
    )
    outside = switch.layer.flow_to("UDP", "198.51.100.4", 5060)
    inside = switch.layer.flow_to("UDP", "10.3.2.1", 5060)
    assert switch.layer.facing(outside) == Facing("203.0.113.7", 5080, "10.0.0.1", "203.0.113.8")
    assert switch.layer.facing(inside) == Facing("10.0.0.1", 5060, "10.0.0.1", "10.0.0.1")


def test_a_facing_is_asked_anew_when_our_addresses_change(make_switch):
    """A wildcard's address towards a peer is believed for seconds, not for ever."""
    addresses = ["192.0.2.1"]
    switch = make_switch(
        Listener("any", "UDP", "0.0.0.0", 5060, source_towards=lambda host: addresses[0])
    )
    flow = switch.layer.flow_to("UDP", "198.51.100.4", 5060)
    assert switch.layer.facing(flow).host == "192.0.2.1"
    addresses[0] = "192.0.2.2"
    assert switch.layer.facing(flow).host == "192.0.2.1"
    switch.clock.run(10)
    assert switch.layer.facing(flow).host == "192.0.2.2"


def test_port_0_binds_a_free_port_and_the_layer_knows_it(make_switch):
    """The listener's port, its flows and its facing show the port that is bound."""
    switch = make_switch(Listener("udp", "UDP", "10.0.0.1", 0))
    [listener] = switch.layer.listeners
    assert listener.port != 0
    flow = switch.layer.flow_to("UDP", "10.0.0.9", 5060)
    assert (flow.local_port, switch.layer.facing(flow).port) == (listener.port, listener.port)


def test_stopping_ends_every_connection_and_port(switch):
    """After ``stop`` nothing is sent, no timer is left, and the addresses are free."""
    switch.network.attach("10.0.0.9", 5060, "TCP")
    flow = switch.layer.flow_to("TCP", "10.0.0.9", 5060)
    switch.clock.run()
    switch.layer.stop()
    assert switch.above.failures == [(flow, "the switch stops")]
    switch.clock.run()
    assert switch.clock.idle
    with pytest.raises(TransportError):
        switch.layer.send(b"x", SOURCE)
    assert not switch.layer.is_alive(SOURCE)
    switch.network.attach(*SWITCH)
