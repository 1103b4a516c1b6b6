"""Taxonomies, galaxies and object templates: a handful, the ones that threats are mapped to."""

from __future__ import annotations

from typing import Any

from tests.doubles.misp.answers import Answer, Refused, saved
from tests.doubles.misp.routes import Call, route
from tests.doubles.misp.rows import Json, Tagging
from tests.doubles.misp.values import described

TAXONOMIES = {
    "5": ("PAP", "3", ("RED", "AMBER", "GREEN", "WHITE")),
    "34": ("course-of-action", "2", ("passive", "active")),
    "101": ("priority-level", "2", ("baseline-minor", "low", "medium", "high", "severe")),
    "120": ("rsit", "1003", ("availability", "intrusions", "vulnerable", "other")),
    "170": ("tlp", "10", ("red", "amber", "amber+strict", "green", "clear", "white")),
    "190": ("workflow", "12", ("todo", "state")),
}
ATLAS = "mitre-atlas-attack-pattern"
GALAXIES = {
    "45": ("3f3d21aa-d8a1-4f8f-b31e-fc5425eec821", "MITRE ATLAS Attack Pattern", ATLAS),
    "60": (
        "c4e851fa-775f-11e7-8163-b774922098cd",
        "Attack Pattern",
        "mitre-attack-pattern",
    ),
    "61": (
        "1be2d9b8-4d72-4a8e-b6bb-9d1a0e6a3b1d",
        "Techniques",
        "mitre-ics-techniques",
    ),
}
CLUSTERS = {
    "6896": (
        "a3660a2d-f6e5-4f1b-9618-332cceb389c8",
        "45",
        "Train Proxy via Replication",
        "AML.T0005.001",
    ),
    "6900": ("a7c30122-b393-4d66-8bbd-f0c2a9c9a2f1", "45", "Evade ML Model", "AML.T0015"),
}
TEMPLATES = {
    "58": ("3d1c2c06-68a9-4394-8c8d-258d115f796f", "course-of-action", "misc", "1"),
    "115": ("688c46fb-5edb-40a3-8273-1af7923e2215", "file", "file", "25"),
    "180": ("9f8cea74-16fe-4968-a2b4-026676949ac6", "ip-port", "network", "10"),
    "337": ("48894c92-447b-4abe-b093-360c4d823e9d", "security-playbook", "misc", "3"),
    "400": ("81650945-f186-437b-8945-9f31715d32da", "vulnerability", "vulnerability", "10"),
}

MAKER = {"id": "0", "name": "MISP", "uuid": "0"}


def clusters_of(tags: list[Tagging]) -> list[Json]:
    """Return the galaxies of those tags whose cluster is here; other tags stay plain tags."""
    found: dict[str, Json] = {}
    for one in tags:
        for id_, row in CLUSTERS.items():
            if _cluster(id_)["tag_name"] == one.tag.name:
                galaxy = found.setdefault(row[1], _galaxy(row[1]) | {"GalaxyCluster": []})
                attached = {
                    "GalaxyClusterRelation": [],
                    "Org": MAKER,
                    "Orgc": MAKER,
                    "tag_id": one.tag.id,
                    "event_tag_id": str(one.id),
                    "local": one.local,
                    "relationship_type": False,
                }
                galaxy["GalaxyCluster"].append(_cluster(id_) | attached)
    return list(found.values())


@route("taxonomies/index")
def taxonomies(call: Call) -> Answer:
    return Answer(
        [
            {
                "Taxonomy": _taxonomy(call, id_),
                "total_count": len(row[2]),
                "current_count": _present(call, id_),
            }
            for id_, row in TAXONOMIES.items()
        ]
    )


@route("taxonomies/view")
def taxonomy(call: Call) -> Answer:
    id_ = _id(TAXONOMIES, call.arg(), "Taxonomy not found.", place=0)
    entries = [{"tag": name, "expanded": name, "existing_tag": False} for name in _tags(id_)]
    return Answer({"Taxonomy": _taxonomy(call, id_), "entries": entries})


@route("taxonomies/enable", needs="perm_site_admin")
def enable(call: Call) -> Answer:
    id_ = _id(TAXONOMIES, call.arg(), "Invalid taxonomy", place=0)
    call.state.settings[f"taxonomy:{id_}"] = True
    return saved("Taxonomy enabled", f"/taxonomies/enable/{call.arg()}", call.arg())


@route("taxonomies/addtag", needs="perm_tag_editor")
def add_tags(call: Call) -> Answer:
    id_ = _id(TAXONOMIES, call.arg(), "Invalid taxonomy", place=0)
    if not _enabled(call, id_):
        raise Refused(404, "Taxonomy not found.")
    for name in _tags(id_):
        if call.state.tag(name) is None:
            call.state.make_tag(name)
    return saved("The tag(s) has been saved.", f"/taxonomies/addTag/{call.arg()}", call.arg())


@route("galaxies/index")
def galaxies(call: Call) -> Answer:
    return Answer([{"Galaxy": _galaxy(id_)} for id_ in GALAXIES])


@route("galaxies/update", needs="perm_site_admin")
def update_galaxies(call: Call) -> Answer:
    return saved("Galaxies updated.", "/galaxies/update")


@route("galaxy_clusters/index")
def clusters(call: Call) -> Answer:
    return Answer(
        [{"GalaxyCluster": _cluster(one)} for one, row in CLUSTERS.items() if row[1] == call.arg()]
    )


@route("galaxy_clusters/restsearch")
def search_clusters(call: Call) -> Answer:
    # MISP overlooks `value` here and answers with what the galaxy has
    wanted = [g for g, row in GALAXIES.items() if row[0] == call.asked("galaxy_uuid")]
    found = [one for one, row in CLUSTERS.items() if not wanted or row[1] in wanted]
    found = found[: int(call.asked("limit") or 60)]
    headers = {"X-Result-Count": str(len(found))}
    return Answer({"response": [{"GalaxyCluster": _cluster(one)} for one in found]}, 200, headers)


@route("galaxies/attachcluster", needs="perm_tagger")
def attach_cluster(call: Call) -> Answer:
    event = call.state.event(call.arg(), call.user)
    target = str((call.document.get("Galaxy") or {}).get("target_id", ""))
    if target not in CLUSTERS or event is None:
        raise Refused(404, "Invalid Galaxy cluster")
    name = _cluster(target)["tag_name"]
    tag = call.state.tag(name) or call.state.make_tag(name)
    new = call.state.attach(event.tags, tag)
    message = "Cluster attached." if new else "Cluster already attached."
    return Answer({"saved": True, "success": message, "check_publish": True})


@route("object_templates/index")
def templates(call: Call) -> Answer:
    org = call.misp.organisation
    owner = {"id": str(org.id), "name": org.name, "uuid": org.uuid}
    loaded = call.misp.templates.values()
    rows = [*map(_template, TEMPLATES), *({"id": "900", **one} for one in loaded)]
    return Answer([{"ObjectTemplate": one, "Organisation": owner} for one in rows])


@route("object_templates/view")
def template(call: Call) -> Answer:
    id_ = _id(TEMPLATES, call.arg(), "Invalid object template", place=0)
    org = call.misp.organisation
    return Answer(
        {
            "ObjectTemplate": _template(id_),
            "User": {"id": "1", "email": call.state.users[1].email},
            "Organisation": {"id": str(org.id), "name": org.name, "uuid": org.uuid},
            "ObjectTemplateElement": [],
        }
    )


@route("object_templates/update", needs="perm_site_admin")
def update_templates(call: Call) -> Answer:
    for name, one in call.misp.disk.items():
        there = call.misp.templates.get(name)
        if call.arg() in ("", name) and (there is None or one["version"] > there["version"]):
            call.misp.templates[name] = one
    return Answer(None, 302, {"Location": f"{call.state.url}/ObjectTemplates"})


@route("attributes/describetypes")
def describe_types(_: Call) -> Answer:
    return Answer({"result": described()})


def _tags(id_: str) -> list[str]:
    namespace, _, predicates = TAXONOMIES[id_]
    return [f"{namespace}:{one}" for one in predicates]


def _enabled(call: Call, id_: str) -> bool:
    return bool(call.state.settings.get(f"taxonomy:{id_}", TAXONOMIES[id_][0] == "tlp"))


def _present(call: Call, id_: str) -> int:
    return sum(call.state.tag(name) is not None for name in _tags(id_))


def _taxonomy(call: Call, id_: str) -> Json:
    namespace, version, _ = TAXONOMIES[id_]
    return {
        "id": id_,
        "namespace": namespace,
        "description": namespace,
        "version": version,
        "enabled": _enabled(call, id_),
        "exclusive": namespace in ("tlp", "PAP"),
        "required": False,
        "highlighted": False,
    }


def _galaxy(id_: str) -> Json:
    uuid, name, kind = GALAXIES[id_]
    return {
        "id": id_,
        "uuid": uuid,
        "name": name,
        "type": kind,
        "description": name,
        "version": "1",
        "icon": "map",
        "namespace": kind.rpartition("-attack")[0] or kind,
        "enabled": True,
        "local_only": False,
        "kill_chain_order": None,
    }


def _cluster(id_: str) -> Json:
    uuid, galaxy, value, external = CLUSTERS[id_]
    kind = GALAXIES[galaxy][2]
    return {
        "id": id_,
        "uuid": uuid,
        "collection_uuid": GALAXIES[galaxy][0],
        "type": kind,
        "value": value,
        "tag_name": f'misp-galaxy:{kind}="{value}"',
        "description": value,
        "galaxy_id": galaxy,
        "source": "",
        "authors": ["MITRE"],
        "version": "14",
        "distribution": "3",
        "sharing_group_id": None,
        "org_id": "0",
        "orgc_id": "0",
        "default": True,
        "locked": False,
        "extends_uuid": "",
        "extends_version": "0",
        "published": False,
        "deleted": False,
        "meta": {"external_id": [external]},
    }


def _template(id_: str) -> Json:
    uuid, name, meta, version = TEMPLATES[id_]
    return {
        "id": id_,
        "user_id": "1",
        "org_id": "1",
        "uuid": uuid,
        "name": name,
        "meta-category": meta,
        "description": name,
        "version": version,
        "requirements": {"requiredOneOf": []},
        "fixed": True,
        "active": True,
    }


def _id(table: dict[str, Any], given: str, missing: str, *, place: int) -> str:
    if given in table:
        return given
    for id_, row in table.items():
        if row[place] == given:
            return id_
    raise Refused(404, missing)
