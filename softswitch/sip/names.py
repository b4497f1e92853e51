"""Methods, reason phrases and header field names, with their compact forms. Pure.

RFC 3261 sections 7.3.1, 7.3.3 and 21, and the extensions that the switch or its peers speak.
"""

from typing import Final

#: Every method known here (RFC 3261, 3262, 3311, 3428, 3515, 3903, 6086, 6665).
METHODS: Final = frozenset(
    {
        "INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "INFO", "MESSAGE", "UPDATE",
        "PRACK", "REFER", "SUBSCRIBE", "NOTIFY", "PUBLISH",
    }
)  # fmt: skip

#: Status code -> reason phrase (RFC 3261 section 21 and the registry).
REASONS: Final[dict[int, str]] = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    417: "Unknown Resource-Priority",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    424: "Bad Location Information",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    430: "Flow Failed",
    433: "Anonymity Disallowed",
    436: "Bad Identity Info",
    437: "Unsupported Credential",
    438: "Invalid Identity Header",
    439: "First Hop Lacks Outbound Support",
    440: "Max-Breadth Exceeded",
    469: "Bad Info Package",
    470: "Consent Needed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    555: "Push Notification Service Not Supported",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}

#: Compact form, one lower-case letter -> canonical name (RFC 3261 7.3.3 and the registry).
COMPACT: Final[dict[str, str]] = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}

#: Header field names in the spelling of their RFC.
KNOWN: Final = frozenset(COMPACT.values()) | frozenset(
    {
        "Accept", "Accept-Encoding", "Accept-Language", "Alert-Info", "Allow", "Answer-Mode",
        "Authentication-Info", "Authorization", "Call-Info", "Content-Disposition",
        "Content-Language", "Content-Transfer-Encoding", "CSeq", "Date", "Diversion",
        "Error-Info", "Expires", "Feature-Caps", "Flow-Timer", "Geolocation", "History-Info",
        "In-Reply-To", "Info-Package", "Join", "Max-Breadth", "Max-Forwards", "MIME-Version",
        "Min-Expires", "Min-SE", "Organization", "P-Access-Network-Info", "P-Asserted-Identity",
        "P-Associated-URI", "P-Called-Party-ID", "P-Charging-Vector", "P-Early-Media",
        "P-Preferred-Identity", "Path", "Priority", "Privacy", "Proxy-Authenticate",
        "Proxy-Authentication-Info", "Proxy-Authorization", "Proxy-Require", "RAck", "Reason",
        "Record-Route", "Recv-Info", "Refer-Sub", "Remote-Party-ID", "Replaces", "Reply-To",
        "Require", "Resource-Priority", "Retry-After", "Route", "RSeq", "Security-Client",
        "Security-Server", "Security-Verify", "Server", "Service-Route", "Session-ID", "SIP-ETag",
        "SIP-If-Match", "Subscription-State", "Suppress-If-Match", "Target-Dialog", "Timestamp",
        "Unsupported", "User-Agent", "User-to-User", "Warning", "WWW-Authenticate",
    }
)  # fmt: skip

#: Spelling -> canonical name: as in the RFC, lower case, upper case, compact.
SPELLINGS: Final[dict[str, str]] = {
    spelling: name
    for short, name in [*((name, name) for name in KNOWN), *COMPACT.items()]
    for spelling in (short, short.lower(), short.upper())
}


def canonical(name: str) -> str:
    """The RFC's spelling of a header field name: "call-id" and "i" give "Call-ID".

    Names are case-insensitive (RFC 3261 7.3.1). A name unknown here comes back unchanged.
    """
    return SPELLINGS.get(name) or SPELLINGS.get(name.lower(), name)
