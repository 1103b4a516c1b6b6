"""One verb per file: what the connector does."""
