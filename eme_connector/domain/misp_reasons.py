"""Why a threat is not, or not wholly, in a MISP, and what to do about it.

The one table of these reasons: pages, commands, the API and docs/misp.md say what stands here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """`says` completes "It is not there, because …"; `remedy` tells a person what to do."""

    says: str
    remedy: str


_KEY = (
    "Configure an API key that is enabled, not expired, and allowed from this address "
    "(misp.key; for a member's MISP its key under misp.receivers)."
)
_ROLE = "Give the key's user the role Org Admin: publish, sharing groups, tag editor."
_MEND = "Mend the sharing group in our MISP and give it a newer date (edit its description)"
_THEN = "; then send again."

REASONS: dict[str, Reason] = {
    # our MISP does not take it
    "key-refused": Reason("MISP refused our key", _KEY),
    "not-allowed": Reason("the role of our key may not do this", _ROLE),
    "misp-down": Reason(
        "MISP is down", "Nothing; it is sent when MISP is back. Look at its web server and PHP."
    ),
    "not-misp": Reason(
        "what answered is no MISP",
        "Set misp.url to the base URL of the MISP, without a path behind it.",
    ),
    "misp-500": Reason(
        "MISP failed while it stored the event, and may hold half of it",
        "Look into MISP's error.log; the next try completes the event.",
    ),
    "misp-invalid": Reason(
        "MISP found the event invalid", "Update MISP, or report what the delivery's detail says."
    ),
    "blocklisted": Reason(
        "the event was deleted in MISP, which blocklists its uuid",
        "If that was meant, leave it. If not, a site admin takes the uuid off the event "
        "blocklist (Administration, Blocklists; POST /eventBlocklists/delete/UUID)" + _THEN,
    ),
    "duplicate": Reason(
        "MISP has an event with this uuid that our key may not see",
        "Let a site admin look at the event: it is not ours, so we do not touch it.",
    ),
    "event-not-ours": Reason(
        "the event with this uuid belongs to another organisation",
        "Let a site admin set its owner to the organisation of our key, or delete it" + _THEN,
    ),
    "not-there": Reason("the event has gone from MISP", "Nothing; the next try stores it anew."),
    "not-newer": Reason(
        "MISP holds a newer copy of the event", "Nothing; the next try sends a newer one."
    ),
    "sharing-group-unknown": Reason(
        "MISP does not have the sharing group, or our organisation is not in it",
        "Make it there with the same uuid and our organisation in it, or pull it from Cerebrate.",
    ),
    "sharing-group-refused": Reason(
        "MISP does not let our key use the sharing group",
        "Add the organisation of our key to the group in MISP.",
    ),
    # our MISP says yes and does something else
    "misp-dropped": Reason(
        "MISP dropped attributes without a word",
        "See the detail for which: values that it holds invalid, or uuids that another event "
        "has. Nothing was published.",
    ),
    "misp-hid": Reason(
        "MISP keeps objects from every other organisation",
        "Update this program: objects must inherit the event's distribution. Nothing was "
        "published.",
    ),
    "misp-dropped-marking": Reason(
        "MISP dropped the TLP tag",
        "Enable the taxonomy tlp in MISP with all its tags, or " + _ROLE[0].lower() + _ROLE[1:],
    ),
    "misp-changed-distribution": Reason(
        "MISP stored another distribution than we asked for",
        "Look at the event and at the sharing group in MISP. Nothing was published.",
    ),
    "others-dropped": Reason(
        "MISP dropped some of what stood in the bundle beside the detection",
        "See the detail for which; MISP holds these values invalid. The bundle is attached whole.",
    ),
    "tags-dropped": Reason(
        "MISP dropped tags that it does not know",
        "Enable the taxonomies and galaxies, or " + _ROLE[0].lower() + _ROLE[1:],
    ),
    "values-changed": Reason(
        "MISP wrote values otherwise than we sent them",
        "Nothing, where it only normalised them; the detail says which.",
    ),
    "not-published": Reason(
        "MISP said it would publish, and has not",
        "See whether its background workers run, and whether a workflow stops the event.",
    ),
    "blocked-by-workflow": Reason(
        "a workflow in MISP stopped the publication",
        "Do what the workflow's message asks for (where it is not in the detail, it is in MISP's "
        "log for site admins), or change the workflow; it is tried again.",
    ),
    "push-failed": Reason(
        "MISP could not push the event to a server",
        "Protected events need our instance's key: add it to the event in MISP" + _THEN,
    ),
    "signature-refused": Reason(
        "the event is protected, and our change is not signed with its key",
        "Add our key to the event in MISP, or unprotect it" + _THEN,
    ),
    "left-unpublished": Reason(
        "publishing is left to people (misp.publish is false)", "Publish the event in MISP."
    ),
    # the sharing group would not carry it, or too far; nothing is stored then
    "own-organisation-missing": Reason(
        "our organisation is not in the sharing group: receivers would hide the event",
        "Add the organisation of our key to the group in MISP.",
    ),
    "group-inactive": Reason("the sharing group is not active", "Activate it in MISP."),
    "no-servers": Reason(
        "the sharing group is not roaming and names no other MISP: nothing is pushed",
        "Add the members' MISPs to the group, or tick roaming.",
    ),
    "group-differs": Reason(
        "the sharing group in MISP lets organisations read that may not",
        "Remove them from the group in every MISP (MISP does not sync removals), or add them to "
        "the group where it is kept.",
    ),
    "all-orgs": Reason(
        "the sharing group opens a MISP to all its organisations, members or not",
        "Untick 'all organisations' for that server and list the members instead.",
    ),
    # what keeps it from one member
    "member-missing": Reason(
        "the sharing group in MISP does not list it ('all organisations' does not count)",
        "Add it to the group in our MISP and give the group a newer date" + _THEN,
    ),
    "url-differs": Reason(
        "the sharing group names its MISP by another text: it would store the event hidden",
        "Make the URL in our MISP's server entry exactly its baseurl" + _THEN,
    ),
    "server-not-in-group": Reason(
        "the sharing group does not name its MISP, so nothing is pushed there",
        "Add its server to the group in our MISP, or tick roaming" + _THEN,
    ),
    "roaming-with-servers": Reason(
        "the sharing group is roaming but lists servers without its MISP: it would store the "
        "event hidden",
        "Take all servers off the roaming group in our MISP, or add that MISP's" + _THEN,
    ),
    "may-extend": Reason(
        "it may add organisations to the sharing group",
        "Untick 'extend' for it unless that is meant.",
    ),
    # what is seen in a member's MISP
    "reads-here": Reason("its people read it in our MISP", ""),
    "no-key": Reason(
        "we have no key for its MISP, so nobody has looked",
        "Ask it for a read-only key and put it under misp.receivers.",
    ),
    "on-its-way": Reason("it is not there yet", "Nothing; it is looked at again."),
    "not-seen-there": Reason(
        "it is not there, or hidden from the user whose key we have",
        "See whether our MISP pushes to it (server entry, push, workers) and which rules filter; "
        "MISP itself says nothing. It is looked at again; if its MISP was down when ours "
        "published, send again.",
    ),
    "not-updated-there": Reason(
        "an older state is there",
        "See whether our MISP still pushes to it. It is looked at again; if its MISP was down when "
        "ours published, send again.",
    ),
    "dropped-there": Reason(
        "it has arrived, but its MISP dropped a part of it without a word",
        "See the detail for which. Its filters for pushes (types), or another event there with "
        "the same uuids, do that.",
    ),
    "hidden-there": Reason(
        "it has arrived, but as 'your organisation only': its people cannot see it",
        "Its MISP could not take over the sharing group: our organisation must be a member, and "
        "its URL in the group exactly its baseurl" + _THEN,
    ),
    "group-stale-there": Reason(
        "it has arrived, but the sharing group there lacks members",
        _MEND + ", in another second than its last change there" + _THEN,
    ),
    "group-wider-there": Reason(
        "it has arrived, but the sharing group there has members that ours has not",
        "Remove them from the group in that MISP by hand: MISP does not sync removals.",
    ),
    "no-way-back": Reason(
        "the sharing group there does not name our MISP, so answers will not be pushed to us",
        "Let them add a server entry for our MISP; then give the group a newer date and send "
        "again.",
    ),
    # our answers
    "not-in-our-misp": Reason(
        "the event that the answer is about is not in our MISP, or hidden from our key",
        "See whether it has come and who may see it; the answer is given when it is there.",
    ),
    "nothing-to-sight": Reason(
        "the event has no attribute that a sighting could be put on",
        "Answer by a comment.",
    ),
    "not-sighted": Reason(
        "MISP took the sighting without storing it",
        "Give the key's user a role that may add sightings; it is tried again.",
    ),
    "answer-stays-here": Reason(
        "the event is kept to our organisation here, so an answer to it would not get out",
        "Mend the sharing group in our MISP and let them send the event again.",
    ),
}


def remedy(code: str) -> str:
    """Return what to do about *code*, or an empty text where it is none of MISP's."""
    return REASONS[code].remedy if code in REASONS else ""
