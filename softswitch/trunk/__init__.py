"""Trunks: named groups of gateways."""
