"""What the doctor finds of each rtpengine."""

import socket
from threading import Thread

import attrs
import pytest

from softswitch.ops.config import Config
from softswitch.ops.examine import Patient, rtpengines
from softswitch.ops.tables import MediaTable, RtpengineTable
from softswitch.ops.values import HostPort


@pytest.fixture
def found():
    """What is found where somebody answers every datagram so; None for nobody."""

    def found(answer: bytes | None):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
            there.bind(("127.0.0.1", 0))
            address = HostPort("127.0.0.1", there.getsockname()[1])
            media = MediaTable(engine="rtpengine", rtpengine=(RtpengineTable(address),))
            patient = Patient(attrs.evolve(Config(), media=media))
            if answer is None:
                there.close()
                return list(rtpengines(patient))

            def respond() -> None:
                ping, where = there.recvfrom(2048)
                assert ping.partition(b" ")[2] == b"d7:command4:pinge"
                there.sendto(ping.partition(b" ")[0] + b" " + answer, where)

            thread = Thread(target=respond)
            thread.start()
            findings = list(rtpengines(patient))
            thread.join()
            return findings

    return found


def test_one_that_answers(found):
    """All is well."""
    (finding,) = found(b"d6:result4:ponge")
    assert (finding.check, finding.state) == ("rtpengine", "OK")


@pytest.mark.parametrize("answer", [b"", b"d6:result5:errore", b"hello"])
def test_something_else_is_there(found, answer):
    """The address is wrong; the remedy names the key."""
    (finding,) = found(answer)
    assert (finding.state, "is none" in finding.found) == ("FAIL", True)
    assert "media.rtpengine[0].address" in finding.remedy


def test_nobody_is_there(found):
    """As the network says at once."""
    (finding,) = found(None)
    assert (finding.state, "refused" in finding.found) == ("FAIL", True)


def test_without_a_farm_there_is_nothing_to_look_at():
    """Not a word."""
    assert list(rtpengines(Patient(Config()))) == []
