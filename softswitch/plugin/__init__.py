"""All that the author of a plug-in imports."""
