"""SDP: a document that keeps every line, its rewriting, and who owes what (RFC 8866, 3264)."""
