"""Call records: kept in an SQLite file, looked up there, and carried on to others."""
