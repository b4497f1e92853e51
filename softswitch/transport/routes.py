"""Which of our addresses the kernel uses towards a peer. Asks the routing table, sends nothing.

A listener bound to a wildcard does not know under which address a peer reaches it; the kernel
does. Answers are kept for some seconds, since network cards and addresses come and go.
"""

import socket
from time import monotonic

#: Seconds for which an answer is believed.
BELIEVED = 10.0
#: How many answers are kept; when it is full, all are forgotten.
KEPT = 4096

_answers: dict[str, str | None] = {}
_believed_until = 0.0


def kernel_source(remote_host: str) -> str | None:
    """The source address of packets to ``remote_host``; None where no route leads there.

    :param remote_host: address literal without brackets. A name is never looked up: None.
    """
    global _believed_until
    now = monotonic()
    if now >= _believed_until or len(_answers) >= KEPT:
        _answers.clear()
        _believed_until = now + BELIEVED
    elif remote_host in _answers:
        return _answers[remote_host]
    answer = _answers[remote_host] = _ask(remote_host)
    return answer


def _ask(remote_host: str) -> str | None:
    family = socket.AF_INET6 if ":" in remote_host else socket.AF_INET
    try:
        socket.inet_pton(family, remote_host.partition("%")[0])
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((remote_host, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None
