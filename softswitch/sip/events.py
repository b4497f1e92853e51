"""What Event and Subscription-State say (RFC 6665 section 8.2). Pure."""

from attrs import frozen

from softswitch.errors import SipSyntaxError
from softswitch.sip.fields import Params, format_params, parse_params, seconds
from softswitch.sip.message import Message, Request

#: The package to which a REFER subscribes by itself (RFC 3515 2.4.4).
REFER = "refer"


@frozen
class SubscriptionState:
    """A Subscription-State field (RFC 6665 8.2.3).

    :ivar state: "active", "pending" or "terminated", lower case; an extension's as it came.
    :ivar expires: seconds that are left, None where it does not say.
    :ivar reason: why it was terminated, lower case, or "".
    :ivar retry_after: seconds after which one may subscribe anew, None where it does not say.
    """

    state: str
    expires: int | None = None
    reason: str = ""
    retry_after: int | None = None

    @staticmethod
    def of(message: Message) -> "SubscriptionState":
        """What a NOTIFY says.

        :raises SipSyntaxError: it says nothing, or cannot be read.
        """
        text = message.get("Subscription-State")
        if text is None:
            raise SipSyntaxError("Missing Subscription-State", header="Subscription-State")
        state, semicolon, rest = text.partition(";")
        if not state.strip(" \t"):
            raise SipSyntaxError("Bad Subscription-State", header="Subscription-State")
        try:
            params = parse_params(semicolon + rest)
            expires, retry = params.get("expires"), params.get("retry-after")
            return SubscriptionState(
                state.strip(" \t").lower(),
                None if expires is None else seconds(expires),
                (params.get("reason") or "").lower(),
                None if retry is None else seconds(retry),
            )
        except SipSyntaxError as error:
            raise SipSyntaxError("Bad Subscription-State", header="Subscription-State") from error

    def __str__(self) -> str:
        params: Params = {}
        if self.reason:
            params["reason"] = self.reason
        if self.expires is not None:
            params["expires"] = str(self.expires)
        if self.retry_after is not None:
            params["retry-after"] = str(self.retry_after)
        return self.state + format_params(params)


def event_of(message: Message, *, numbered: bool = False) -> tuple[str, str]:
    """The event package that a message names, and the "id" parameter, "" without one; two
    messages with the same pair speak of the same subscription (RFC 6665 8.2.1).

    A REFER names its own by being one; the number that its NOTIFYs may bear tells several in one
    dialog apart (RFC 3515 2.4.6), of which there are none outside of a call.

    :param numbered: whether that number counts.
    :raises SipSyntaxError: it names none, or cannot be read.
    """
    if isinstance(message, Request) and message.method == "REFER":
        return REFER, ""
    text = message.get("Event")
    if text is None:
        raise SipSyntaxError("Missing Event", header="Event")
    package, semicolon, rest = text.partition(";")
    package = package.strip(" \t")
    try:
        params = parse_params(semicolon + rest)
    except SipSyntaxError as error:
        raise SipSyntaxError("Bad Event", header="Event") from error
    if not package:
        raise SipSyntaxError("Bad Event", header="Event")
    number = params.get("id") or ""
    return package, "" if package == REFER and not numbered else number


def check_notify(notify: Message) -> None:
    """See that a NOTIFY that crosses can be read. Some that nobody has subscribed to, such as those
    of check-sync, have no Subscription-State.

    :raises SipSyntaxError: Event is missing or cannot be read, or Subscription-State cannot.
    """
    event_of(notify)
    if notify.get("Subscription-State") is not None:
        SubscriptionState.of(notify)
