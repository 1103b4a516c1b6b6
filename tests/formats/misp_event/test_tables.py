"""The mapping tables are held against what MISP and its neighbours define."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pymisp
import pytest
from pymisp import MISPObject

from eme_connector.domain.playbook import ACTIONS
from eme_connector.domain.risk import Band
from eme_connector.domain.threat import Kind, Status, Tlp
from eme_connector.formats.misp_event import tags
from eme_connector.formats.misp_event.tables import OWN_OBJECTS, definition, tables
from scripts import galaxies

BORROWED = [name for name in tables().templates if name not in OWN_OBJECTS]
UPSTREAM = Path(pymisp.__file__).parent / "data" / "misp-objects"


def every_tag():
    table = tables().tags
    for key in ("status", "pap", "risk", "action"):
        yield from table[key].values()
    yield from (tag for _, _, tag in table["rsit"])
    yield table["detected"]
    yield from (f"tlp:{one}" for one in Tlp)


def reference(corpora, folder):
    for path in sorted((corpora / "reference" / folder).glob("*.json")):
        yield json.loads(path.read_text())


def test_every_word_of_ours_has_its_tag():
    table = tables().tags

    assert set(table["status"]) == set(Status)
    assert set(table["pap"]) == set(Tlp)
    assert set(table["risk"]) == set(Band)
    assert set(table["action"]) == set(ACTIONS)
    # the last row of each kind takes whatever no other took
    for kind in Kind:
        assert [word for known, word, _ in table["rsit"] if known == kind][-1] == ""


def test_every_tag_is_in_a_taxonomy_that_every_misp_has():
    pytaxonomies = pytest.importorskip("pytaxonomies")
    known = pytaxonomies.Taxonomies()
    machine_tags = {tag for name in known for tag in known[name].machinetags()}

    assert [tag for tag in every_tag() if tag not in machine_tags] == []


def test_every_tag_is_in_the_taxonomies_of_the_corpora(corpora):
    known = set()
    for taxonomy in reference(corpora, "misp-taxonomies"):
        entries = {one["predicate"]: one["entry"] for one in taxonomy.get("values", [])}
        for one in taxonomy["predicates"]:
            stem = f"{taxonomy['namespace']}:{one['value']}"
            known |= {f'{stem}="{e["value"]}"' for e in entries.get(one["value"], [])} or {stem}
    namespaces = {tag.partition(":")[0] for tag in known}

    ours = [tag for tag in every_tag() if tag.partition(":")[0] in namespaces]
    assert [tag for tag in ours if tag not in known] == []
    assert {tag.partition(":")[0] for tag in every_tag()} - namespaces == {"course-of-action"}


@pytest.mark.parametrize("name", OWN_OBJECTS)
def test_our_templates_are_in_the_format_of_misp_objects(name, corpora):
    schema = json.loads((corpora / "reference/misp-objects/schema_objects.json").read_text())

    jsonschema.validate(definition(name), schema)


@pytest.mark.parametrize("name", OWN_OBJECTS)
def test_our_templates_name_nothing_that_upstream_has(name):
    others = [json.loads(p.read_text()) for p in UPSTREAM.glob("objects/*/definition.json")]

    assert len(others) > 300
    assert definition(name)["uuid"] not in {one["uuid"] for one in others}
    assert name not in {one["name"] for one in others}


@pytest.mark.parametrize("name", BORROWED)
def test_templates_that_we_borrow_are_those_of_misp_objects(name):
    ours = tables().templates[name]
    theirs = json.loads((UPSTREAM / "objects" / name / "definition.json").read_text())

    assert ours.uuid == theirs["uuid"]
    assert ours.meta_category == theirs["meta-category"]
    assert int(ours.version) <= int(theirs["version"])
    types = {
        relation: theirs["attributes"][relation]["misp-attribute"] for relation in ours.relations
    }
    assert {relation: one.type for relation, one in ours.relations.items()} == types


@pytest.mark.parametrize("name", BORROWED)
def test_templates_that_we_borrow_are_those_of_the_corpora(name, corpora):
    path = corpora / "reference" / "misp-objects" / f"objects__{name}__definition.json"
    theirs = json.loads(path.read_text())

    assert tables().templates[name].version == str(theirs["version"])
    assert tables().templates[name].uuid == theirs["uuid"]


def test_the_playbook_is_the_security_playbook_of_version_3():
    book = tables().templates["security-playbook"]

    assert (book.uuid, book.version) == ("48894c92-447b-4abe-b093-360c4d823e9d", "3")
    assert book.relations["playbook-file"].type == "attachment"
    known = MISPObject("security-playbook", strict=True)
    for relation, kind in book.relations.items():
        known.add_attribute(relation, value="x" if kind.type != "datetime" else "2026-01-01")


@pytest.mark.parametrize("name", tables().templates)
def test_every_category_takes_its_type(name):
    types = json.loads((Path(pymisp.__file__).parent / "data" / "describeTypes.json").read_text())
    allowed = types["result"]["category_type_mappings"]

    for relation, one in tables().templates[name].relations.items():
        assert one.type in allowed[one.category], relation


def test_techniques_are_those_of_the_galaxies():
    pytest.importorskip("pymispgalaxies")

    assert galaxies.table() == tables().clusters


def test_techniques_of_the_corpora_are_known(corpora):
    cluster = corpora / "reference/misp-galaxy/clusters__mitre-atlas-attack-pattern.json"
    for one in json.loads(cluster.read_text())["values"]:
        tag = f'misp-galaxy:mitre-atlas-attack-pattern="{one["value"]}"'
        assert tags.clusters(one["meta"]["external_id"]) == [tag]


def test_techniques_are_found_by_their_ids_alone():
    assert tags.clusters("AML.T0015 then T0855, again AML.T0015", "T99999 and AML.T9999") == [
        'misp-galaxy:mitre-atlas-attack-pattern="Evade ML Model"',
        tables().clusters["T0855"][0],
    ]


def test_every_value_lists_what_the_code_writes():
    values = definition("response-decision")["attributes"]

    assert values["status"]["values_list"] == list(Status)
    assert definition("iris-detection")["attributes"]["tlp"]["values_list"] == list(Tlp)
