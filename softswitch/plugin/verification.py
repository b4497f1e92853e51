"""What came of verifying who calls (RFC 8224), as policies and records see it. Pure."""

from typing import Literal

import attrs

#: As the parameter of a number says it (3GPP TS 24.229 7.2A.20).
Verstat = Literal["TN-Validation-Passed", "TN-Validation-Failed", "No-TN-Validation"]

#: How far the signer vouches for the number (RFC 8588 4): "A" that the caller is his customer and
#: may use it, "B" that he is his customer, "C" that the call has come in through him.
Attestation = Literal["A", "B", "C"]


@attrs.frozen
class Verification:
    """The verdict on a caller's number.

    :ivar verstat: whether somebody who may has signed that this number calls; failed where what
        was signed does not hold, none where nothing was, or the certificate was not to be had.
    :ivar attestation: how far he vouches for it; "" where it did not pass, or he does not say.
    :ivar origid: names whence the call came, to the signer; likewise.
    :ivar number: the digits that were signed, "" where it did not pass.
    :ivar signer: subject of the certificate; likewise.
    :ivar status: what answers the request where a signature is required (RFC 8224 6.2.2); 0 where
        it passed.
    :ivar reason: why it did not pass, as a reason phrase.
    """

    verstat: Verstat
    attestation: Attestation | Literal[""] = ""
    origid: str = ""
    number: str = ""
    signer: str = ""
    status: int = 0
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether the number is the caller's, as far as others say."""
        return self.verstat == "TN-Validation-Passed"


def unverified(status: int, reason: str) -> Verification:
    """The verdict where a signature is missing or does not hold.

    :param status: of RFC 8224 6.2.2.
    """
    missing = status in (428, 436)
    return Verification(
        "No-TN-Validation" if missing else "TN-Validation-Failed", status=status, reason=reason
    )
