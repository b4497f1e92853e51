"""A relay's process, as the switch speaks to it: one broken session harms no other."""

import pytest

from softswitch.media.process import RelayProtocol
from softswitch.media.wire import LONGEST, answer_from_wire, question_to_wire, report_from_wire
from softswitch.plugin.media import MediaAnswer, MediaNetwork, MediaQuestion, MediaReport

HERE = MediaNetwork("127.0.0.1", "127.0.0.1")
QUESTION = MediaQuestion(7, "call", "offer", b"v=0", "a", "b1", HERE, HERE, "192.0.2.1")


class Engine:
    """Does with every question what the test wants."""

    def __init__(self, does):
        self.does = does

    def ask(self, question, tell):
        tell(self.does())

    def answered(self, session, record):
        self.does()

    def conclude(self, session, tell):
        tell(self.does())

    def snapshot(self, session, tell):
        tell(self.does())

    def ports_by_leg(self, session):
        return {}

    def ports_in_use(self, session):
        return 0


class Server:
    def __init__(self, does):
        self.engine = Engine(does)


def breaks():
    raise ZeroDivisionError


def test_a_question_that_breaks_the_relay_is_refused():
    """500 for that one; an exception would end the connection on which all others are asked."""
    protocol = RelayProtocol(Server(breaks))
    answer = answer_from_wire(protocol.ask(question_to_wire(QUESTION))["answer"])
    assert (answer.token, answer.error.status) == (7, 500)
    assert protocol.answered("call", False) == {}
    for ask in (protocol.conclude, protocol.snapshot):
        assert report_from_wire(ask("call")["report"]) == MediaReport()


@pytest.mark.parametrize("size", [LONGEST, 2 * LONGEST])
def test_an_answer_that_is_too_long_to_be_told(size):
    """513: AMP has no longer values, and would end the connection."""
    protocol = RelayProtocol(Server(lambda: MediaAnswer(7, b"x" * size)))
    answer = answer_from_wire(protocol.ask(question_to_wire(QUESTION))["answer"])
    assert (answer.token, answer.error.status) == (7, 513)
