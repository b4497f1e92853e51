"""The back-to-back user agent: legs, bridges between them, and the calls around both."""
