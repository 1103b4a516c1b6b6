"""Small domain objects for tests; every argument can be replaced."""

from __future__ import annotations

from typing import Any

from eme_connector.domain.playbook import ACTIONS, Playbook, Step, action_of
from eme_connector.domain.rights import ROLES, Caller, Right
from eme_connector.domain.sharing import Organisation, SharingGroup, Topology
from eme_connector.domain.threat import Asset, Detection, Kind, Threat, Tlp

CI = "11111111-1111-4111-8111-111111111111"
OTHER_CI = "22222222-2222-4222-8222-222222222222"
CERT = "33333333-3333-4333-8333-333333333333"
GROUP = "44444444-4444-4444-8444-444444444444"
NOW = 1_700_000_000.0
AT = round(NOW * 1_000_000)


def step(number: int, text: str = "Isolate Host", **fields: Any) -> Step:
    action = action_of(text)
    impact = ACTIONS[action].impact if action else 0
    return Step(**{"id": str(number), "action_text": text, "action": action, "actor": "cam-1",
                   "impact": impact} | fields)  # fmt: skip


def playbook(*steps: Step, **fields: Any) -> Playbook:
    chosen = steps or (step(1), step(2, "Block Host Service"))
    return Playbook(**{"name": "Contain", "steps": chosen, "start": chosen[0].id} | fields)


def detection(**fields: Any) -> Detection:
    return Detection(
        **{
            "carrier_id": "extension-definition--c9e2d0eb-9814-4214-b902-31f302e2a8ce",
            "iris_id": "12",
            "name": "Adversarial patch",
            "kind": Kind.ATTACK,
            "threat": "Evade ML model",
            "risk_score": 8.0,
            "confidence": 90,
            "assets": (Asset("10.0.0.7", "cam-1", 4),),
            "playbooks": (playbook(),),
        }
        | fields
    )


def threat(**fields: Any) -> Threat:
    return Threat(
        **{
            "id": "55555555-5555-4555-8555-555555555555",
            "organisation": CI,
            "detection": detection(),
            "received_at": AT,
            "updated_at": AT,
            "tlp": Tlp.AMBER,
            "criticality": 4,
            "group": GROUP,
        }
        | fields
    )


def organisation(uuid: str = CI, name: str = "CI-1", **fields: Any) -> Organisation:
    return Organisation(**{"uuid": uuid, "name": name, "default_group": GROUP} | fields)


def topology(*members: str) -> Topology:
    known = [organisation(), organisation(OTHER_CI, "CI-2"),
             organisation(CERT, "CERT-1", role="cert", default_group=None)]  # fmt: skip
    group = SharingGroup(GROUP, "Transport", frozenset(members or (CI, CERT)))
    return Topology({one.uuid: one for one in known}, {GROUP: group})


def person(organisation: str = CI, name: str = "anna", role: str = "admin") -> Caller:
    return Caller("person", f"account-{name}", name, organisation, ROLES[role])


def token(*rights: Right, organisation: str = CI, **fields: Any) -> Caller:
    return Caller("token", "prefix", "atio", organisation, frozenset(rights), **fields)
