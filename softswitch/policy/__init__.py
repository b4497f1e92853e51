"""The built-in plug-ins, how plug-ins are loaded, and the chain that asks them."""
