"""The proxy: requests that are forwarded as they are, statefully (RFC 3261 section 16)."""
