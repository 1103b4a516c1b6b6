"""What it means that an outside system cannot be reached, and what to do, by our calls' reasons."""

from __future__ import annotations

SAID = {
    "name-unresolved": "Its name leads nowhere",
    "private-address": "Its address is a private one",
    "plain-http": "It is called without TLS",
    "unreachable": "It cannot be reached",
    "connect-timeout": "It cannot be reached",
    "tls": "Its certificate is not trusted",
    "redirect-refused": "It sends us elsewhere",
    "timeout": "It did not answer in time",
    "broken-off": "It hung up in the middle",
}
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
