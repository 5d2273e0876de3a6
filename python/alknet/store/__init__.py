"""What is kept: one SQLite file, and everything that knows how to read and write it."""
