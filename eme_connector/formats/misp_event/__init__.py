"""Threats, detections and STIX bundles as MISP events, and back (C3, D1, D3)."""
