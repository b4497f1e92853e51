"""What an operator sees and does in the terminal: commands over the API of a running switch.

``client`` speaks to it, ``tables`` shows what it says, ``commands`` and ``top`` are the commands.
"""
