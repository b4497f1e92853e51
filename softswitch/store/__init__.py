"""What outlives a process: back ends behind the interfaces of the plug-in floor."""
