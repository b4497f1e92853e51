"""Session descriptions that nobody means well, or that got broken on their way. Pure.

A mutator makes them by the seed that it is given: from good descriptions, by lines that are
dropped, doubled, moved, mixed up with others', words that are replaced by what has caused grief
elsewhere, and octets that are flipped. The same seed gives the same descriptions.
"""

from collections.abc import Callable, Iterator
from random import Random

#: Good ones, of phones, a gateway, a browser, a fax and an old one.
GOOD = tuple(
    text.replace("\n", "\r\n").encode()
    for text in (
        """v=0
o=alice 2890844526 1 IN IP4 192.0.2.10
s=-
c=IN IP4 192.0.2.10
t=0 0
m=audio 4000 RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=sendrecv
""",
        """v=0
o=- 3828 3829 IN IP4 10.1.2.3
s=pbx 10.1.2.3
i=of the house
u=http://10.1.2.3/
e=bob@10.1.2.3
p=+44 20 7946 0000
c=IN IP4 10.1.2.3
b=AS:84
t=3034423619 3042462419
r=604800 3600 0 90000
a=X-nat:0 10.1.2.3
a=sendonly
m=audio 4000 RTP/AVP 8
b=TIAS:64000
a=rtcp:4001 IN IP4 10.1.2.3
a=ssrc:1 cname:bob@10.1.2.3
m=video 4002 RTP/AVPF 99
c=IN IP4 10.1.2.4
a=rtpmap:99 H264/90000
a=fmtp:99 profile-level-id=42e01f
a=rtcp-fb:99 nack pli
a=recvonly
""",
        """v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=msid-semantic: WMS
m=audio 53026 UDP/TLS/RTP/SAVPF 111 0
c=IN IP4 198.51.100.7
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1 1 udp 2113937151 a9b1.local 53026 typ host generation 0
a=candidate:2 1 udp 1677729535 198.51.100.7 53026 typ srflx raddr 10.0.0.5 rport 53026
a=ice-ufrag:F7gI
a=ice-pwd:x9cml/YzichV2+XlhiMu8g
a=ice-options:trickle
a=fingerprint:sha-256 42:89:C5:C6:55:9D:6E:8A:42:89:C5:C6:55:9D:6E:8A:42:89:C5:C6:55:9D:6E:8A
a=setup:actpass
a=mid:0
a=sendrecv
a=rtcp-mux
a=rtpmap:111 opus/48000/2
m=application 53026 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 198.51.100.7
a=mid:1
a=sctp-port:5000
""",
        """v=0
o=fax 1 1 IN IP4 192.0.2.20
s=-
t=0 0
m=audio 0 RTP/AVP 0
m=image 4006 udptl t38
c=IN IP4 192.0.2.20
a=T38FaxVersion:0
a=T38FaxRateManagement:transferredTCF
m=message 7394 TCP/MSRP *
c=IN IP4 192.0.2.20
a=path:msrp://pbx.example:7394/2s93i9ek2a;tcp
""",
        """v=0
o=old 1 1 IN IP4 192.0.2.30
s=-
c=IN IP4 0.0.0.0
t=0 0
m=audio 4000 RTP/SAVP 0
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj
a=alt:1 1 : 3qV+ 9Zkl 192.168.0.4 8000
a=inactive
""",
    )
)

#: Words that stand where others stood.
WORDS = (
    *(b"0", b"1", b"65535", b"65536", b"99999", b"-1", b"1_0", b"0x10", b"4000/2", b"", b"*"),
    *(b"10.9.8.7", b"192.168.1.1", b"224.2.1.1/127", b"fe80::1", b"2001:db8::7", b"::", b"0.0.0.0"),
    *(b"::ffff:10.9.8.7", b"host.example", b"held.invalid", b"IN", b"IP4", b"IP6", b"ATM"),
    *(
        b"RTP/AVP",
        b"rtp/avp",
        b"RTP/AVPF",
        b"RTP/SAVP",
        b"UDP/TLS/RTP/SAVPF",
        b"udptl",
        b"TCP/MSRP",
    ),
    *(b"audio", b"video", b"image", b"\xff\xfe", b"\x00", b"\r", "é\u2028".encode()),
)
#: Lines that come between others.
LINES = (
    *(b"a=sendrecv", b"a=sendonly", b"a=recvonly", b"a=inactive", b"a=rtcp-mux", b"a=rtcp:9"),
    *(b"a=rtcp:4444 IN IP4 10.9.8.7", b"c=IN IP4 10.9.8.7", b"c=IN IP6 2001:db8::7"),
    *(b"o=- 1 1 IN IP4 10.9.8.7", b"a=candidate:1 1 udp 2 10.9.8.7 4000 typ host"),
    *(b"a=remote-candidates:1 10.9.8.7 4000", b"a=ice-lite", b"A=candidate:1", b" a=x:10.9.8.7"),
    *(b"a=X-nat:1 10.9.8.7", b"a=altc:1 IP6 2001:db8::7 45678", b"a=note:\rc=IN IP4 10.9.8.7"),
    *(b"a=source-filter: incl IN IP4 * 10.9.8.7", b"k=clear:x", b"x=odd", b"", b"s=10.9.8.7"),
    *(b"m=audio 4008 RTP/AVP 0", b"m=audio 0 RTP/AVP 0", b"m=video 4010 RTP/AVP", b"t=1 2"),
    *(b"c=IN IP4 0.0.0.0", b"v=0", b"z=0 0", b"a=" + b"x" * 300, b"b=AS:1"),
)


class Mutator:
    """Makes descriptions, one after the other."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)
        self._ways: tuple[Callable[[list[bytes]], None], ...] = (
            self._drop,
            self._double,
            self._move,
            self._put,
            self._replace_word,
            self._replace_word,
            self._mix,
            self._flip,
            self._cut,
            self._direct,
        )

    def __iter__(self) -> Iterator[bytes]:
        """Without an end."""
        while True:
            yield self.mutated(self._chance.choice(GOOD))

    def mutated(self, sdp: bytes) -> bytes:
        """A description changed in up to four ways, mostly in one or two."""
        lines = sdp.removesuffix(b"\r\n").split(b"\r\n")
        for _ in range(self._chance.choice((0, 1, 1, 1, 2, 2, 3, 4))):
            self._chance.choice(self._ways)(lines)
        end = self._chance.choice((b"\r\n",) * 8 + (b"\n", b"\r\n\r\n"))
        text = (b"\n" if end == b"\n" else b"\r\n").join(lines)
        return text + (end if self._chance.random() < 0.97 else b"")

    def _at(self, lines: list[bytes]) -> int:
        return self._chance.randrange(len(lines))

    def _drop(self, lines: list[bytes]) -> None:
        if len(lines) > 1:
            del lines[self._at(lines)]

    def _double(self, lines: list[bytes]) -> None:
        lines.insert(self._at(lines), lines[self._at(lines)])

    def _move(self, lines: list[bytes]) -> None:
        line = lines.pop(self._at(lines))
        lines.insert(self._chance.randrange(len(lines) + 1), line)

    def _put(self, lines: list[bytes]) -> None:
        lines.insert(self._at(lines) + 1, self._chance.choice(LINES))

    def _replace_word(self, lines: list[bytes]) -> None:
        at = self._at(lines)
        words = lines[at].split(b" ")
        words[self._chance.randrange(len(words))] = self._chance.choice(WORDS)
        lines[at] = b" ".join(words)

    def _mix(self, lines: list[bytes]) -> None:
        """The rest comes from another description."""
        other = self._chance.choice(GOOD).split(b"\r\n")
        lines[self._at(lines) + 1 :] = other[self._at(other) : -1]

    def _flip(self, lines: list[bytes]) -> None:
        at = self._at(lines)
        line = bytearray(lines[at])
        if line:
            line[self._chance.randrange(len(line))] = self._chance.randrange(256)
        lines[at] = bytes(line)

    def _cut(self, lines: list[bytes]) -> None:
        del lines[self._at(lines) + 1 :]

    def _direct(self, lines: list[bytes]) -> None:
        """Another direction, wherever one stands."""
        direction = self._chance.choice(LINES[:4])
        for at, line in enumerate(lines):
            if line in LINES[:4]:
                lines[at] = direction
