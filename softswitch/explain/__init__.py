"""What the switch would do with an INVITE, told decision by decision: ``softswitch explain``."""
