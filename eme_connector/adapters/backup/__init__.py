"""Backups: one file with the database, the keys and the configuration, and the way back."""
