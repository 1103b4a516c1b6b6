"""The sharing-group relay."""
