"""The registrar and location service (RFC 3261 section 10)."""
