"""The engine's own test kit: a loop network, a virtual clock, phones that play a part."""
