"""What has happened to one call: recorded as it comes, shown when somebody looks."""
