"""One file per outside system; each implements one port."""
