"""`eme share explain` says in words what the API says in codes."""

from __future__ import annotations

from eme_connector.cli.share import _lines

FOUND = {
    "tlp": "amber",
    "group": {"uuid": "g", "name": "Transport"},
    "viewers": [{"organisation": "u", "name": "CERT-1", "rules": ["member", "roaming"],
                 "ways": ["sidecar", "misp"]}],
    "left_out": [{"organisation": "v", "name": "", "why": "not-named"}],
    "warnings": [{"code": "may-extend", "organisations": [{"organisation": "u", "name": "C"}]}],
    "in_misp": [{"organisation": "u", "name": "CERT-1", "status": "hidden", "reason": "url-differs",
                 "detail": "", "says": "another text", "remedy": "Make it equal."}],
    "deliveries": [{"lane": "misp", "state": "delivered", "reason": ""}],
}  # fmt: skip


def test_it_is_readable():
    said = "\n".join(_lines(FOUND))

    assert "TLP:AMBER, group: Transport" in said
    assert "! Members may let others in. (C)" in said
    assert "member of the group, the group may travel to any MISP" in said
    assert "sidecar and misp" in said
    assert "this marking goes only to those whom a person names" in said
    assert "CERT-1       hidden  another text  Make it equal." in said
    assert "misp" in said.splitlines()[-1]


def test_nobody_is_said():
    nobody = FOUND | {"viewers": [], "left_out": [], "warnings": [], "group": None}

    assert "Nobody else sees it." in list(_lines(nobody))
