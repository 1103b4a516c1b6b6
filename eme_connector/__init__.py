"""Connect MISP and Cerebrate communities to automated threat response."""

__version__ = "0.1.0"
