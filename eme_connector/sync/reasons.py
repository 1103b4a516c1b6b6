"""Why a cycle failed at a target or at the source, and what to do: pages and commands say this."""

from __future__ import annotations

from collections.abc import Mapping

from eme_connector.domain import reach

REASONS: Mapping[str, tuple[str, str]] = {
    "key-refused": ("it does not know the key", "make a new one there, put it into its `key_file`"),
    "not-allowed": (
        "the key may not do this",
        "give its user the role of a site admin (MISP) or community admin (Cerebrate)",
    ),
    "key-sees-too-little": (
        "the key does not see everything",
        "give its user the role of a site admin (MISP) or community admin (Cerebrate)",
    ),
    "misp-down": ("its web server answers, MISP does not", "look at its PHP and its database"),
    "not-misp": ("what answered is no MISP", "set `url` to the MISP's own MISP.baseurl"),
    "misp-500": ("MISP failed inside", "look into its app/tmp/logs/error.log"),
    "failed-or-refused": ("Cerebrate failed inside", "look into its logs/error.log"),
    "list-incomplete": ("it counts more than it shows", "look into its log; see what the key sees"),
    "list-changing": ("its list changed while it was read", "nothing: the next cycle reads it"),
    "not-as-asked": ("it said yes, and it is not so", "look at the entry there"),
    "not-newer": ("it kept an older date", "nothing: the next cycle announces it"),
    "name-taken": ("the name is another's there", "nothing: the next cycle chooses another"),
    "server-unknown": ("it does not know a server", "add the server entry there"),
    "source-emptied": (
        "the source lists nothing any more, and that is not believed",
        "look what happened there; if it is true: `eme sg apply --confirm all`",
    ),
    "busy": ("another run is writing there", "look again in a moment"),
    "interrupted": ("the process was stopped", "nothing: the next cycle goes on from there"),
    "organisation-failed": ("its organisation could not be written", "mend that first"),
    "group-failed": ("its group could not be written", "mend that first"),
}
"""Each reason: what it means, what to do; those of the way there are in `domain.reach`."""


def explain(reason: str) -> tuple[str, str]:
    """Return what *reason* means and what to do about it; empty texts for one not known."""
    if reason in reach.SAID:
        said = reach.SAID[reason]
        return said[0].lower() + said[1:], reach.FIXES[reason]
    return REASONS.get(reason, ("", ""))
