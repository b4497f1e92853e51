"""The switch as notifier of its users' registrations (RFC 3680)."""

import xml.etree.ElementTree as ET

NS = {"r": "urn:ietf:params:xml:ns:reginfo"}
REG = ("Event", "reg")


def documents(line):
    """Version and state of the registration, and for each contact its URI and attributes."""
    found = []
    for request in line.requests:
        if request.method == "NOTIFY" and request.body:
            assert request.content_type == "application/reginfo+xml"
            root = ET.fromstring(request.body)
            (registration,) = root.findall("r:registration", NS)
            assert registration.get("aor") == "sip:alice@127.88.0.1"
            contacts = [
                (each.findtext("r:uri", None, NS), each.attrib)
                for each in registration.findall("r:contact", NS)
            ]
            found.append((int(root.get("version")), registration.get("state"), contacts))
    return found


def test_a_user_hears_of_his_own_registrations(stage, phones):
    """Contacts with their ids, ages and times, as they come and go (RFC 3680 5)."""
    (alice,) = phones(stage, "alice")
    stage.run(10)
    line = alice.dial("alice")
    line.request("SUBSCRIBE", [REG, ("Expires", "600")])
    assert line.final == 200
    ((version, state, ((uri, attributes),)),) = documents(line)
    assert (version, state) == (0, "active")
    assert f"<{uri}>" == alice.contact
    assert (attributes["state"], attributes["event"]) == ("active", "registered")
    assert (attributes["duration-registered"], attributes["expires"]) == ("10", "3590")
    (other,) = phones(stage, "alice", register=False)
    instance = '"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'
    fields = [("Contact", f"{other.contact};q=0.5;+sip.instance={instance}")]
    request = other.request("REGISTER", "sip:127.88.0.1", to=other.own)
    other.ask(request.replaced("Contact", [fields[0][1]]), lambda response: None)
    other.settle()
    version, state, contacts = documents(line)[-1]
    assert (version, len(contacts)) == (1, 2)
    assert contacts[1][1]["q"] == "0.5"
    assert instance.encode().replace(b"<", b"&lt;").replace(b">", b"&gt;") in line.requests[-1].body
    alice.register(0)
    other.register(0)
    stage.settle()
    assert documents(line)[-1][1:] == ("terminated", [])
    line.request("SUBSCRIBE", [REG, ("Expires", "0")])


def test_nobody_hears_of_anothers(udp, phones):
    """403: whose phones are where is his own business."""
    _, bob = phones(udp, "alice", "bob")
    line = bob.dial("alice")
    line.request("SUBSCRIBE", [REG, ("Expires", "600")])
    assert line.final == 403


def test_nobody_is_registered(udp, phones):
    """The state is "init" as long as nothing has happened (RFC 3680 5.1)."""
    (alice,) = phones(udp, "alice", register=False)
    line = alice.dial("alice")
    line.request("SUBSCRIBE", [REG, ("Expires", "0")])
    assert documents(line) == [(0, "init", [])]
