"""Floor 3, transport: listeners, flows, sockets, framing (RFC 3261 section 18)."""
