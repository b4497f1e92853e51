"""Dialogs (RFC 3261 sections 12 to 15): one leg's signalling, above the transactions."""
