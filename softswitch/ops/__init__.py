"""What an operator meets: the configuration, the service, the records, the command line."""
