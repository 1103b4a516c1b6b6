"""The demo: two sidecars and a receiver of playbooks on this machine, and a detection's way."""
