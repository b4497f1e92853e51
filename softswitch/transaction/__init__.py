"""RFC 3261 section 17 with RFC 6026's corrections: four machines, every timer, one layer."""
