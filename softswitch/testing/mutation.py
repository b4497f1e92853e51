"""Messages changed as attackers, broken phones and chance change them. Pure.

A ``Mutator`` knows what a message is made of: it doubles a header field, writes its name
otherwise, takes a value out of another message, puts a number at its limit, nests a body in another
one; only seldom does it turn single bytes. So most of what it makes is read to the end, and by more
than the parser. All its choices come from one ``random.Random``: a seeded one, or Hypothesis's.
"""

import re
from collections.abc import Callable, Sequence
from random import Random

from softswitch.sip.names import COMPACT, METHODS, REASONS

#: Words that have broken parsers: numbers at their limits, other writings of digits, escapes.
WORDS: Sequence[bytes] = (
    *(b"0", b"1", b"-1", b"70", b"255", b"256", b"65535", b"65536", b"2147483647", b"2147483648"),
    *(b"4294967295", b"4294967296", b"99999999999999999999", b"9" * 400, b"1_0", b"+5", b"0x10"),
    *(b"1e9", b"NaN", "٣".encode(), b"a" * 300, b"%00", b"%0d%0a", b"%", b"%zz", b"%2540"),
    *(b"[::1]", b"[::", b"::ffff:1.2.3.4", b"127.88.0.1", b"0.0.0.0", b"255.255.255.255", b"."),
    *(b"invalid.", b"a..b", b"xn--", b"z9hG4bK", b"*", b'""', b'"', b"<>", b"\\", b'"\\"', b"''"),
    *(b"sip:", b"sips:a@b", b"tel:+1", b"tel:+", b"urn:service:sos", b"http://x/", b"data:,"),
    *("ü\u0085\u2028\u212a\u017f".encode(), b"\xed\xa0\x80", b"\xff\xfe", b"\xc0\xaf", b"\xe4"),
    *(b"\0", b"\\\0", b"\x01", b"\x7f", b"\t", b"\n", b"\r", b"\r\n ", b"\r\n", b"\r\n\r\n"),
)
#: What parts a value into its pieces.
MARKS: Sequence[bytes] = tuple(bytes([mark]) for mark in b';,:=<>@"?&%()[]/ \t')

#: Fields that somebody acts upon, each with values of which one may be meant, and others.
FIELDS: Sequence[tuple[bytes, Sequence[bytes]]] = (
    (b"Via", (b"SIP/2.0/UDP 127.88.0.66", b"SIP/2.0/TCP h:0;branch=z9hG4bK1", b"SIP / 2.0 / x a")),
    (b"Contact", (b"*", b"<sip:x@127.88.0.66>", b"<sip:x@h>;expires=0;q=2", b"sip:a,sip:a", b"<>")),
    (b"Expires", (b"0", b"1", b"3600", b"-1", b"x", b"99999999999")),
    (b"Max-Forwards", (b"0", b"1", b"255", b"300", b"")),
    (b"Require", (b"100rel", b"timer", b"replaces", b"teleport", b",,", b"outbound, path")),
    (b"Supported", (b"100rel, timer, replaces, norefersub", b"", b",", b"tdialog, path, gruu")),
    (b"Session-Expires", (b"1", b"90;refresher=uas", b"4294967296", b"x;refresher=none", b"")),
    (b"Min-SE", (b"0", b"90", b"4000000000", b"-", b"1;x")),
    (b"RSeq", (b"0", b"1", b"4294967295", b"x")),
    (b"RAck", (b"1 1 INVITE", b"0 0 X", b"4294967295 2147483647 INVITE", b"1", b"1 1 INVITE x")),
    (b"Replaces", (b"x;to-tag=1;from-tag=2", b"x;to-tag=1", b";;", b"x;early-only", b'"')),
    (
        b"Refer-To",
        (
            b"<sip:bob@127.88.0.1>",
            b"<sip:bob@h?Replaces=a%0d%0aX:y%3Bto-tag%3D1%3Bfrom-tag%3D2>",
            b"<tel:+1>",
            b"<>",
            b"x",
        ),
    ),
    (b"Referred-By", (b"<sip:a@b>", b"x", b"<sip:a@b>;cid=x")),
    (b"Refer-Sub", (b"false", b"x", b"")),
    (b"Event", (b"refer", b"dialog", b"reg", b"presence;id=1", b"refer;id=-1", b"x.y.z", b";")),
    (b"Subscription-State", (b"active;expires=0", b"terminated;reason=x", b"pending", b";", b"x")),
    (b"Content-Type", (b"application/sdp", b"multipart/mixed;boundary=a", b"multipart/x", b"x")),
    (
        b"Content-Type",
        (b"message/sipfrag", b"application/dialog-info+xml", b"application/pidf+xml"),
    ),
    (b"Content-Disposition", (b"session", b"x;handling=required", b";", b"early-session")),
    (b"Content-Encoding", (b"gzip", b"identity", b"")),
    (b"Content-Length", (b"0", b"-1", b"1", b"99999", b"4294967296", b"0x1", b"1, 1")),
    (b"Authorization", (b"Digest", b'Digest username="bob", realm="softswitch"', b"Basic eDp5")),
    (b"Proxy-Authorization", (b'Digest nc=x, qop="auth,auth-int"', b"Digest ,,,")),
    (b"WWW-Authenticate", (b'Digest realm="x", nonce="y"', b"Digest qop=a", b'Digest realm="')),
    (b"Proxy-Authenticate", (b'Digest realm="a,b", nonce="", algorithm=x', b"Digest")),
    (
        b"Route",
        (b"<sip:127.88.0.1;lr>", b"<sip:x@127.88.0.1;lr>, <sip:h>", b"<tel:1>", b"<>", b"x"),
    ),
    (b"Record-Route", (b"<sip:127.88.0.66;lr>", b"<sip:h;lr>,<sip:h;lr>", b"<", b"<sip:a>,")),
    (b"P-Asserted-Identity", (b"<sip:bob@127.88.0.1>", b"<tel:+1>, <sip:x@y>, <sip:z@z>", b'"')),
    (b"P-Preferred-Identity", (b"<sip:bob@x>", b"x")),
    (b"Remote-Party-ID", (b"<sip:a@b>;privacy=full", b";;;")),
    (b"Diversion", (b"<sip:a@b>;reason=x;counter=99999999999", b"<sip:a@b>,<sip:c@d>", b"x")),
    (b"History-Info", (b"<sip:a@b?Reason=x>;index=1.1", b"<sip:a>;index=")),
    (b"Privacy", (b"id", b"none;critical", b";", b"user;header;session;id;none")),
    (b"Reason", (b"Q.850;cause=16", b"SIP;cause=9999", b"x;cause=y", b";")),
    (b"Retry-After", (b"0", b"99999999999 (x)", b"5;duration=x", b"-1")),
    (b"Warning", (b'399 h "x"', b"1", b'"')),
    (b"Info-Package", (b"x", b"")),
    (b"Recv-Info", (b"x, y", b"")),
    (b"Target-Dialog", (b"x;local-tag=1;remote-tag=2", b";")),
    (b"Join", (b"x;to-tag=1;from-tag=2",)),
    (b"Path", (b"<sip:127.88.0.66;lr>", b"<>", b"x")),
    (b"Service-Route", (b"<sip:h;lr>", b"x")),
    (b"SIP-If-Match", (b"x", b"")),
    (b"Accept", (b"*/*", b"x", b"")),
    (b"Allow", (b"INVITE, , X", b"")),
    (b"Timestamp", (b"1", b"x y z", b"-1.1.1")),
    (b"Date", (b"Fri, 32 Dec 9999 25:61:61 GMT",)),
    (b"User-Agent", (b"friendly-scanner", b"x" * 500)),
    (b"Subject", (b"", b"\xff", b"(((((" * 50, b'"' * 99)),
)
#: Bodies that somebody reads, and their type.
BODIES: Sequence[tuple[bytes, bytes]] = (
    (b"application/sdp", b"v=0\r\no=- 1 1 IN IP4 127.88.0.66\r\ns=-\r\nc=IN IP4 127.88.0.66\r\n"
     b"t=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
     b"a=fmtp:101 0-15\r\na=rtcp:4001 IN IP4 127.88.0.66\r\na=sendonly\r\n"
     b"m=video 4002/2 RTP/SAVPF 96 97\r\na=rtpmap:96 H264/90000\r\na=ice-ufrag:x\r\n"),
    (b"application/dialog-info+xml", b'<?xml version="1.0"?>\r\n<dialog-info xmlns="urn:ietf:'
     b'params:xml:ns:dialog-info" version="0" state="full" entity="sip:bob@h"><dialog id="a" '
     b'call-id="c"><state code="200">early</state><remote><target uri="sip:x@127.88.0.66"/>'
     b"</remote></dialog></dialog-info>"),
    (b"application/pidf+xml", b'<!DOCTYPE x [<!ENTITY a "&b;">]><presence entity="&a;"/>'),
    (b"application/x", b"<a>" * 200),
    (b"message/sipfrag;version=2.0", b"SIP/2.0 200 OK\r\n"),
    (b"message/sipfrag", b"SIP/2.0 99999999999999999999 \xff\r\n"),
    (b"text/plain", b"\0\xff\r\n\r\n"),
    (b"application/dtmf-relay", b"Signal=5\r\nDuration=99999999999999\r\n"),
    (b"application/simple-message-summary", b"Messages-Waiting: yes\r\nVoice-Message: 9/9 (x)\r\n"),
)  # fmt: skip

Line = Callable[[bytes], bytes]


class Mutator:
    """Makes messages out of messages.

    :ivar chance: what all choices come from.
    :param others: messages whose lines and bodies go into those that are changed.
    """

    def __init__(self, chance: Random, others: Sequence[bytes]) -> None:
        self.chance = chance
        self._others = others
        self._whole = (
            *(self._value,) * 8,
            *(self._another_value,) * 4,
            *(self._another_field,) * 4,
            *(self._hostile_field,) * 8,
            *(self._name,) * 2,
            *(self._body,) * 6,
            *(self._start,) * 2,
            self._drop,
            self._double,
            self._swap,
            self._fold,
            self._many,
        )

    def mutate(self, message: bytes) -> bytes:
        """A message with one change or a few; its branch and its Content-Length are mostly made to
        fit, lest it should be taken for a copy, or be refused before anybody has read it."""
        chance = self.chance
        head, _, body = message.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5))):
            body = chance.choice(self._whole)(lines, body)
        if chance.random() < 0.85:
            self._fit(lines, body)
        made = b"\r\n".join(lines) + b"\r\n\r\n" + body
        return self.turned(made) if chance.random() < 0.1 else made

    def document(self, document: bytes) -> bytes:
        """A body changed by itself: lines of a session description, tags, boundaries."""
        for _ in range(self.chance.choice((1, 1, 2, 3, 5))):
            document = self._document(document)
        return document

    def turned(self, data: bytes) -> bytes:
        """Bytes turned, cut, doubled or put in, wherever they are."""
        chance = self.chance
        for _ in range(chance.choice((1, 1, 2, 4))):
            start = chance.randint(0, len(data))
            end = min(len(data), start + chance.choice((0, 1, 1, 2, 12, 80)))
            piece = chance.choice((b"", data[start:end] * 2, chance.choice(WORDS), self._byte()))
            data = data[:start] + piece + data[end:]
        return data[: chance.randint(0, len(data))] if chance.random() < 0.1 else data

    def _byte(self) -> bytes:
        return bytes([self.chance.randint(0, 255)])

    # Changes of a whole message: they take its lines, which they change, and its body.

    def _value(self, lines: list[bytes], body: bytes) -> bytes:
        """Another word, mark or parameter within a value."""
        place = self._place(lines)
        name, colon, value = lines[place].partition(b":")
        lines[place] = name + colon + b" " + self._changed(value.strip(b" "))
        return body

    def _another_value(self, lines: list[bytes], body: bytes) -> bytes:
        """The value that another message has in this field, or that another field has here."""
        place = self._place(lines)
        name, colon, _ = lines[place].partition(b":")
        other = self._other() if self.chance.random() < 0.7 else lines
        fitting = [line for line in other[1:] if line.partition(b":")[0] == name] or other
        lines[place] = name + colon + self.chance.choice(fitting).partition(b":")[2]
        return body

    def _another_field(self, lines: list[bytes], body: bytes) -> bytes:
        """A line of another message."""
        lines.insert(self._place(lines), self.chance.choice(self._other()[1:] or [b"x: y"]))
        return body

    def _hostile_field(self, lines: list[bytes], body: bytes) -> bytes:
        """A field that somebody acts upon, beside the one that is there or instead of it."""
        name, values = self.chance.choice(FIELDS)
        line = name + b": " + self.chance.choice(values)
        there = [at for at, line in enumerate(lines) if line.startswith(name + b":")]
        if there and self.chance.random() < 0.7:
            lines[there[0]] = line
        else:
            lines.insert(self._place(lines), line)
        return body

    def _name(self, lines: list[bytes], body: bytes) -> bytes:
        """The name of a field written otherwise, lawfully or not."""
        place = self._place(lines)
        name, _, value = lines[place].partition(b":")
        short = {long: short for short, long in COMPACT.items()}.get(name.decode("latin-1"))
        half = len(name) // 2
        ways = (
            (short or "x").encode() + b":",
            name.upper() + b":",
            name.lower() + b" \t:",
            name[:half] + b" " + name[half:] + b":",
            name[:half] + self.chance.choice(WORDS) + name[half:] + b":",
            b" " + name + b":",
            b"X-" + name + b":",
            name + b"::",
            name,
            b":",
        )
        lines[place] = self.chance.choice(ways) + value
        return body

    def _body(self, lines: list[bytes], body: bytes) -> bytes:
        """Another body, or the same one changed, or within another one."""
        chance = self.chance
        way = chance.randint(0, 4)
        if body and way <= 2:
            return self.document(body)
        kind, made = chance.choice(BODIES)
        if way == 3:
            kind, made = self.nested(kind, made)
        lines[:] = [line for line in lines if not line.startswith(b"Content-Type:")]
        lines.append(b"Content-Type: " + kind)
        return self.document(made) if chance.random() < 0.5 else made

    def nested(self, kind: bytes, body: bytes) -> tuple[bytes, bytes]:
        """A body as one part of several, within each other maybe: its type, and what it is then."""
        chance = self.chance
        for depth in range(chance.choice((1, 1, 2, 3, 20))):
            mark = chance.choice((b"a", b"a b", b"--", b"z" * 70, b"%d" % depth))
            part = b"--%s\r\nContent-Type: %s\r\n\r\n%s\r\n" % (mark, kind, body)
            end = chance.choice((b"--", b"--", b"--", b"", b"\r\n", b"-"))
            body = part * chance.choice((1, 1, 2, 17)) + b"--" + mark + end
            kind = b'multipart/mixed;boundary="%s"' % mark
            if len(body) > 20_000:
                break
        return kind, body

    def _start(self, lines: list[bytes], body: bytes) -> bytes:
        """Another method, address, version or status."""
        chance = self.chance
        words = lines[0].split(b" ", 2)
        if len(words) == 3 and words[0] == b"SIP/2.0":
            words[1] = str(chance.choice((*REASONS, 0, 99, 199, 299, 399, 699, 700, 1000))).encode()
            words[2] = chance.choice((words[2], b"", b"\xff", b"x" * 2000, chance.choice(WORDS)))
        elif len(words) == 3:
            at = chance.randint(0, 2)
            method = chance.choice((*sorted(METHODS), "FOO", "invite", "IN VITE"))
            new = (
                method.encode(),
                self._changed(words[1]),
                chance.choice((b"SIP/3.0", b"sip/2.0")),
            )
            words[at] = new[at]
            if at == 0:  # CSeq speaks of the same one
                lines[:] = [
                    re.sub(rb"(?i)^(cseq: *\d+ ).*", rb"\1" + new[0], each) for each in lines
                ]
        lines[0] = b" ".join(words)
        return body

    def _drop(self, lines: list[bytes], body: bytes) -> bytes:
        """A line less."""
        if len(lines) > 2:
            del lines[self._place(lines)]
        return body

    def _double(self, lines: list[bytes], body: bytes) -> bytes:
        """A line twice, the second time maybe otherwise."""
        line = lines[self._place(lines)]
        name, colon, value = line.partition(b":")
        again = name + colon + self._changed(value) if self.chance.random() < 0.5 else line
        lines.insert(self._place(lines), again)
        return body

    def _swap(self, lines: list[bytes], body: bytes) -> bytes:
        """Two lines in each other's place."""
        one, other = self._place(lines), self._place(lines)
        lines[one], lines[other] = lines[other], lines[one]
        return body

    def _fold(self, lines: list[bytes], body: bytes) -> bytes:
        """A line on several lines (RFC 3261 7.3.1)."""
        place = self._place(lines)
        lines[place] = lines[place].replace(b" ", b"\r\n\t ", self.chance.randint(1, 3))
        return body

    def _many(self, lines: list[bytes], body: bytes) -> bytes:
        """A line, a value or a parameter many times."""
        chance = self.chance
        place, times = self._place(lines), chance.choice((2, 20, 70, 130, 300))
        way = chance.randint(0, 2)
        name, colon, value = lines[place].partition(b":")
        if way == 0:
            lines[place:place] = [lines[place]] * times
        elif way == 1:
            lines[place] = (
                name + colon + b",".join([value] * min(times, 20_000 // (len(value) + 1)))
            )
        else:
            params = b"".join(b";p%d=%d" % (number, number) for number in range(times))
            lines[place] += chance.choice((params, b";p" * times, b",a" * times, b"(" * times))
        return body

    # Helpers.

    def _place(self, lines: list[bytes]) -> int:
        """Of a line that is no start line, where there is one."""
        return self.chance.randint(1, len(lines) - 1) if len(lines) > 1 else 0

    def _other(self) -> list[bytes]:
        """The lines of another message."""
        return self.chance.choice(self._others).partition(b"\r\n\r\n")[0].split(b"\r\n")

    def _changed(self, value: bytes) -> bytes:
        """A value with one piece of it put otherwise."""
        chance = self.chance
        pieces = _PIECES.findall(value) or [b""]
        at = chance.randint(0, len(pieces) - 1)
        way = chance.randint(0, 7)
        if way <= 2:
            pieces[at] = chance.choice(WORDS)
        elif way == 3:
            pieces[at] = chance.choice(MARKS)
        elif way == 4:
            del pieces[at]
        elif way == 5:
            pieces.insert(at, chance.choice(MARKS) + chance.choice(WORDS))
        elif way == 6:
            pieces.append(b";" + chance.choice(_PARAMETERS) + b"=" + chance.choice(WORDS))
        else:
            pieces[at] = pieces[at] * chance.choice((2, 2, 50))
        return b"".join(pieces)

    def _document(self, document: bytes) -> bytes:
        """One change of a body."""
        chance = self.chance
        lines = document.split(b"\r\n")
        at = chance.randint(0, len(lines) - 1)
        way = chance.randint(0, 7)
        if way <= 2:
            lines[at] = self._changed(lines[at])
        elif way == 3:
            del lines[at]
        elif way == 4:
            lines.insert(chance.randint(0, len(lines)), lines[at])
        elif way == 5:
            lines.insert(at, chance.choice(_SDP))
        elif way == 6:
            lines[at:at] = [lines[at]] * chance.choice((5, 70, 200))
        else:
            return self.turned(document)
        return b"\r\n".join(lines)

    def _fit(self, lines: list[bytes], body: bytes) -> None:
        """Make Content-Length fit, and a request's branch a new one."""
        branch = b"branch=z9hG4bK%x" % self.chance.getrandbits(48)
        request = not lines[0].startswith(b"SIP/2.0")
        for at, line in enumerate(lines):
            lower = line[:16].lower()
            if lower.startswith((b"content-length:", b"l:")):
                lines[at] = b"Content-Length: %d" % len(body)
            elif request and lower.startswith((b"via:", b"v:")):
                lines[at] = _BRANCH.sub(branch, line, count=1)
                request = False


_PIECES = re.compile(rb"[A-Za-z0-9.!%*_+`'~-]+|[^A-Za-z0-9.!%*_+`'~-]")
_BRANCH = re.compile(rb"branch=z9hG4bK[^;,\s]*")
_PARAMETERS: Sequence[bytes] = (
    *(b"tag", b"branch", b"received", b"rport", b"maddr", b"ttl", b"lr", b"transport", b"user"),
    *(b"expires", b"q", b"+sip.instance", b"reg-id", b"ob", b"method", b"to-tag", b"nc", b"realm"),
)
_SDP: Sequence[bytes] = (
    *(b"v=0", b"v=1", b"o=x", b"c=IN IP4 0.0.0.0", b"c=IN IP6 ::1", b"c=x", b"c=IN IP4 h.invalid"),
    *(b"m=audio 0 RTP/AVP 0", b"m=audio 70000 RTP/AVP", b"m=", b"m=x 1/99999 y z", b"a=sendrecv"),
    *(
        b"a=rtpmap:0 PCMU/8000",
        b"a=rtpmap:",
        b"a=fmtp:0",
        b"a=rtcp:x",
        b"a=rtcp:9",
        b"a=",
        b"a=mid:",
    ),
    *(
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x",
        b"a=ice-lite",
        b"a=group:BUNDLE 0 0",
        b"=",
        b"",
    ),
    *(b"a=candidate:1 1 UDP 1 x 1 typ host", b"a=ptime:0", b"b=AS:-1", b"t=1 0", b"a=inactive"),
)
