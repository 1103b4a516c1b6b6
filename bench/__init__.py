"""Figures of one run on one machine, beside a floor measured in the same run."""
