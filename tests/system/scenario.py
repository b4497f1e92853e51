"""SIPp scenarios that are written as steps and not as XML: who says what, and what he must hear.

What a scenario file repeats at each message, the dialog's fields, is in one place here. ``flows``
is written with it; what stands in ``sipp/`` is played as it is.
"""

from collections.abc import Callable, Mapping
from typing import Self
from xml.sax.saxutils import quoteattr

from softswitch.sip.names import REASONS

#: What everybody can do who is not said to be able to do less, and what RFC 3261 alone knows.
ALL = "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, REFER, NOTIFY"
BASIC = "INVITE, ACK, BYE, CANCEL, OPTIONS"


def sdp(version: int = 1, direction: str = "sendrecv", host: str = "[local_ip]") -> str:
    """A session description of one audio line."""
    return (
        f"v=0\no=sipp 1 {version} IN IP4 [local_ip]\ns=-\nc=IN IP4 {host}\nt=0 0\n"
        f"m=audio 16400 RTP/AVP 0\na=rtpmap:0 PCMU/8000\na={direction}"
    )


class Scenario:
    """One side of a call, step by step; each step returns the scenario.

    :param caller: whether it calls.
    :param allow: the methods that it says it knows.
    """

    def __init__(self, caller: bool, allow: str = ALL) -> None:
        self._caller = caller
        self._allow = f"Allow: {allow}"
        self._parts: list[str] = []
        self._variables: set[str] = set()
        self._cseq = 0
        self._invite = 0
        self._asked = self._heard = ""
        self._stands = False
        self._tag = f"tag=[pid]{'caller' if caller else 'callee'}[call_number]"

    def xml(self) -> str:
        """The scenario as SIPp reads it."""
        names = ",".join(sorted(self._variables))
        parts = [*self._parts, *([f'<Reference variables="{names}"/>'] if names else [])]
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE scenario SYSTEM "sipp.dtd">\n'
            f'<scenario name="{"caller" if self._caller else "callee"}">\n\n'
            + "\n\n".join(parts)
            + "\n\n</scenario>\n"
        )

    def plus(self, *steps: "Step") -> Self:
        """Go on with what others have written down."""
        for step in steps:
            step(self)
        return self

    # What is said.

    def request(self, method: str, body: str = "", *fields: str) -> Self:
        """A request; the caller's first INVITE makes the dialog."""
        self._cseq += 1
        self._asked = method
        if method == "INVITE":
            self._invite = self._cseq
        if method in ("INVITE", "UPDATE"):
            fields = (*fields, self._allow)
        return self._request(method, self._cseq, body, fields, retransmitted=True)

    def ack(self, body: str = "") -> Self:
        """The ACK of a 2xx."""
        self._stands = True
        return self._request("ACK", self._invite, body, (), retransmitted=False)

    def ack_refusal(self) -> Self:
        """The ACK of what was answered otherwise: it belongs to the INVITE (RFC 3261 17.1.1.3)."""
        lines = [f"ACK {self._target} SIP/2.0", "[last_Via:]", "[last_From:]", "[last_To:]"]
        return self._send([*lines, "[last_Call-ID:]", f"CSeq: {self._invite} ACK"], "", False)

    def respond(self, status: int, body: str = "", *fields: str) -> Self:
        """An answer to the first INVITE."""
        self._stands = self._stands or 200 <= status < 300
        dialog = ("Via:[$via]", "From:[$peer]", f"To:[$me];{self._tag}", "CSeq:[$cseq]")
        return self._respond(status, body, fields, *dialog)

    def answer(self, status: int = 200, body: str = "", *fields: str) -> Self:
        """An answer to the request that has just come, within the dialog."""
        last = (f"[last_{name}:]" for name in ("Via", "From", "To", "CSeq"))
        return self._respond(status, body, fields, *last, method=self._heard)

    def pause(self, milliseconds: int | None = None) -> Self:
        """Let time pass, without a number as long as -d says."""
        self._parts.append("<pause/>" if milliseconds is None else _pause(milliseconds))
        return self

    # What is heard.

    def hears(
        self,
        what: int | str,
        has: Mapping[str, str] = {},
        *,
        lacks: Mapping[str, str] = {},
        optional: bool = False,
        keeps: Mapping[str, str] = {},
    ) -> Self:
        """A response or a request that has to come, or that may.

        :param has: name of a header field, or "body" -> regular expression of what is in it.
        :param lacks: likewise, of what is not.
        :param keeps: name of a header field -> variable for its value.
        """
        if self._caller:
            first = self._asked == "INVITE" and isinstance(what, int) and 100 < what < 300
        else:
            first = what == "INVITE"
        first = first and not self._stands
        actions = [_ereg(".*", name, variable) for name, variable in keeps.items()]
        self._variables.update(keeps.values())
        if first:
            kept = {"To": "peer"} if self._caller else {"From": "peer", "To": "me", "Via": "via"}
            kept |= {} if self._caller else {"CSeq": "cseq"}
            actions += [_ereg(".*", name, variable) for name, variable in kept.items()]
            self._variables.update(kept.values())
        for check, wanted in (("check_it", has), ("check_it_inverse", lacks)):
            for name, regexp in wanted.items():
                variable = f"check{len(self._variables)}"
                self._variables.add(variable)
                actions.append(_ereg(regexp, name, variable, f' {check}="true"'))
        if isinstance(what, str):
            self._heard = what
        kind = "response" if isinstance(what, int) else "request"
        flags = (' rrs="true"' if first else "") + (' optional="true"' if optional else "")
        inner = f"\n  <action>\n    {(chr(10) + '    ').join(actions)}\n  </action>\n"
        self._parts.append(f'<recv {kind}="{what}"{flags}>{inner if actions else ""}</recv>')
        return self

    # Helpers.

    @property
    def _target(self) -> str:
        first = self._caller and "peer" not in self._variables
        return "sip:[service]@[remote_ip]:[remote_port]" if first else "[next_url]"

    def _request(
        self, method: str, cseq: int, body: str, fields: tuple[str, ...], retransmitted: bool
    ) -> Self:
        if not self._caller:
            parties = [f"From:[$me];{self._tag}", "To:[$peer]"]
        else:
            known = "peer" in self._variables
            parties = [
                f"From: <sip:caller@[local_ip]>;{self._tag}",
                "To:[$peer]" if known else f"To: <{self._target}>",
            ]
        lines = [
            f"{method} {self._target} SIP/2.0",
            "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
            "[routes]",
            *parties,
            "Call-ID: [call_id]",
            f"CSeq: {cseq} {method}",
            "Max-Forwards: 70",
            _CONTACT,
            *fields,
        ]
        return self._send(lines, body, retransmitted)

    def _respond(
        self,
        status: int,
        body: str,
        fields: tuple[str, ...],
        *dialog: str,
        method: str = "INVITE",
    ) -> Self:
        lines = [f"SIP/2.0 {status} {REASONS[status]}", *dialog, "[last_Call-ID:]", _CONTACT]
        if method in ("INVITE", "UPDATE") and status < 300:
            lines.append(self._allow)
        return self._send([*lines, *fields], body, status >= 200 and method == "INVITE")

    def _send(self, lines: list[str], body: str, retransmitted: bool) -> Self:
        if body and not any(line.startswith("Content-Type") for line in lines):
            lines.append("Content-Type: application/sdp")
        text = "\n".join([*lines, "Content-Length: [len]", "", *body.splitlines()])
        flag = ' retrans="500"' if retransmitted else ""
        self._parts.append(f"<send{flag}>\n<![CDATA[\n\n{text}\n\n]]>\n</send>")
        return self


#: Steps that several scenarios share.
Step = Callable[[Scenario], object]

_CONTACT = "Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>"


def _pause(milliseconds: int) -> str:
    return f'<pause milliseconds="{milliseconds}"/>'


def _ereg(regexp: str, name: str, variable: str, flags: str = "") -> str:
    where = 'search_in="body"' if name == "body" else f'search_in="hdr" header="{name}:"'
    return f"<ereg regexp={quoteattr(regexp)} {where}{flags} assign_to={quoteattr(variable)}/>"
