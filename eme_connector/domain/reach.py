"""What to do where an outside system cannot be reached, by the reason that our calls give."""

from __future__ import annotations

FIXES = {
    "name-unresolved": "check the host in its url",
    "private-address": "list its range in egress.private_networks",
    "plain-http": "use https, or list its range in egress.private_networks",
    "unreachable": "check its url, that it runs, and that no firewall is between",
    "connect-timeout": "check its url, and that no firewall is between",
    "tls": "check its certificate; an own authority goes into ca",
    "redirect-refused": "give the address that answers itself as url",
    "broken-off": "look into its log",
    "timeout": "it is slow: raise timeout_s, or look at its load",
}
