"""MISP: the channel that our threats go by, and what is read from there."""
