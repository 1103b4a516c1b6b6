"""`eme sg` from a Cerebrate to MISPs over HTTP: what it says, what it ends with, what it does."""

from __future__ import annotations

import json
from uuid import uuid4

from click.testing import CliRunner

from eme_connector.cli import main
from tests.sync.conftest import OWN, target, write


def members(misp, uuid):
    found = misp.state.groups.by(uuid=uuid)
    return {misp.state.organisations[one.org_id].uuid for one in found.members}


def of_group(cerebrate, group):
    rows = cerebrate.state.members
    return {cerebrate.state.organisations[o]["uuid"] for g, o in rows if g == group["id"]}


def test_differences_are_named_and_the_exit_code_says_that_there_are_some(eme, group):
    found = eme("diff", "--json", code=2)["targets"][0]

    assert found["state"] == "differs"
    assert {one["word"] for one in found["differences"]} == {
        "organisation-missing", "group-missing", "member-missing"
    }  # fmt: skip
    assert "+ group-missing" in eme("diff", code=2)


def test_apply_makes_them_equal_and_a_second_one_writes_nothing(eme, group, cerebrate, misp):
    found = eme("apply", "--json")["targets"][0]
    assert (found["state"], found["differences"]) == ("converged", [])
    assert members(misp, group["uuid"]) == of_group(cerebrate, group)

    before = len(misp.calls)
    again = eme("apply", "--json")["targets"][0]
    assert {method for method, *_ in misp.calls[before:]} == {"GET"}
    assert again["requests"] <= 5
    assert "converged" in eme("diff")


def test_a_dry_run_and_a_diff_write_nothing(eme, group, misp):
    before = len(misp.calls)
    eme("apply", "--dry-run", code=2)
    eme("diff", code=2)

    assert {method for method, *_ in misp.calls[before:]} == {"GET"}
    assert eme("log", "--json")["rows"] == []


def test_a_reviewed_plan_is_applied_as_long_as_the_world_has_not_moved(eme, group, cerebrate, misp):
    plan = eme.folder / "plan.json"
    eme("plan", "-o", str(plan), code=2)
    other = cerebrate.state.organisation(name=f"Org {uuid4()}")
    cerebrate.state.members[group["id"], other["id"]] = False

    refused = eme("apply", "--plan", str(plan), "--json", code=6)
    assert "moved" in refused["detail"]
    assert misp.state.groups.by(uuid=group["uuid"]) is None

    eme("plan", "-o", str(plan), code=2)
    assert eme("apply", "--plan", str(plan), "--json")["targets"][0]["state"] == "converged"
    assert members(misp, group["uuid"]) == of_group(cerebrate, group)


def test_a_plan_that_was_edited_is_refused(eme, group):
    plan = eme.folder / "plan.json"
    eme("plan", "-o", str(plan), code=2)
    document = json.loads(plan.read_text())
    document["targets"][0]["digest"] = "0" * 64
    plan.write_text(json.dumps(document))

    eme("apply", "--plan", str(plan), code=6)
    plan.write_text("{}")
    eme("apply", "--plan", str(plan), code=7)


def test_the_last_apply_is_undone_and_not_done_again(eme, group, cerebrate, misp):
    eme("apply")
    gone = next(o for g, o in cerebrate.state.members if g == group["id"])
    del cerebrate.state.members[group["id"], gone]
    eme("apply")
    assert members(misp, group["uuid"]) == of_group(cerebrate, group)

    assert "1 would be taken back" in eme("undo", "--dry-run")
    undone = eme("undo", "--json")["targets"][0]
    assert (undone["done"], undone["left"]) == (1, [])
    assert len(members(misp, group["uuid"])) == 3

    waiting = eme("apply", "--json", code=2)["targets"][0]
    assert {one["hold"] for one in waiting["differences"]} == {"undone"}
    eme("apply", "--confirm", group["uuid"])
    assert members(misp, group["uuid"]) == of_group(cerebrate, group)


def test_every_write_is_logged_with_who_before_and_after(eme, group):
    eme("apply")
    (run,) = eme("log", "--json")["rows"]
    writes = eme("log", run["run"], "--json")["rows"]

    assert run["by"].startswith("cli:")
    assert (run["kind"], run["state"]) == ("apply", "done")
    assert [one["word"] for one in writes] == [
        *["organisation-missing"] * 3, "group-missing", *["member-missing"] * 3
    ]  # fmt: skip
    assert {one["state"] for one in writes} == {"done"}


def test_emptying_a_group_waits_for_a_person(eme, group, cerebrate, misp):
    eme("apply")
    for key in [key for key in cerebrate.state.members if key[0] == group["id"]]:
        del cerebrate.state.members[key]

    found = eme("apply", "--json", code=2)["targets"][0]
    assert {one["hold"] for one in found["differences"]} == {"would-empty"}
    assert len(members(misp, group["uuid"])) == 3
    eme("apply", "--confirm", group["uuid"])
    assert members(misp, group["uuid"]) == set()


def test_a_cerebrate_that_lists_no_group_any_more_is_refused(eme, group, cerebrate, misp):
    eme("apply")
    cerebrate.state.groups.clear()

    found = eme("apply", "--json", code=8)["targets"][0]
    assert found["reason"] == "source-emptied"
    assert len(members(misp, group["uuid"])) == 3


def test_a_misp_that_is_down_does_not_keep_the_others_waiting(eme, group, cerebrate, misp):
    dead = target(misp, name="dead", url="http://127.0.0.1:9")
    eme.sections["sync"]["targets"].append(dead)
    write(eme.path, eme.sections)

    found = {one["target"]: one for one in eme("apply", "--json", code=8)["targets"]}
    assert found["fleet"]["state"] == "converged"
    assert (found["dead"]["state"], found["dead"]["reason"]) == ("failed", "unreachable")
    assert eme("apply", "fleet", "--json")["targets"][0]["state"] == "converged"
    eme("apply", "nobody", code=5)


def test_a_source_that_is_down_changes_nothing(eme, group, cerebrate):
    eme("apply")
    cerebrate.stop()

    eme("diff", code=8)
    assert "no cycle now" in eme("watch", "--once", code=8)


def test_watching_once_is_one_cycle(eme, group, misp):
    assert "converged" in eme("watch", "--once")
    assert len(members(misp, group["uuid"])) == 3


def test_a_signed_file_carries_groups_to_a_site_without_a_connection(eme, group, misp, tmp_path):
    file = eme.folder / "groups.jws"
    made = eme("export", str(file), "--json")
    assert made["groups"] == 1

    from eme_connector.adapters.keys import KeySigner

    certificate = KeySigner(eme.folder / "data" / "keys" / "signing.pem").certificate
    away = dict(eme.sections, instance={"organisation": OWN, "data_dir": "away"})
    away.pop("cerebrate")
    away["sync"] = {"source": "file", "certificate": certificate, "targets": [target(misp)]}
    write(eme.path, away)

    eme("diff", code=3)
    assert eme("import", str(file), "--dry-run", "--json")["groups"] == 1
    eme("diff", code=3)
    eme("import", str(file))
    assert eme("apply", "--json")["targets"][0]["state"] == "converged"
    assert len(members(misp, group["uuid"])) == 3


def test_a_file_of_nobody_we_know_or_with_a_changed_byte_is_refused(eme, group, misp):
    file = eme.folder / "groups.jws"
    eme("export", str(file))
    eme("import", str(file), code=4)  # our own key is no peer's

    from eme_connector.adapters.keys import KeySigner

    signer = KeySigner(eme.folder / "data" / "keys" / "signing.pem")
    eme.sections["sync"]["certificate"] = signer.certificate
    write(eme.path, eme.sections)
    head, payload, signature = file.read_text().strip().split(".")
    file.write_text(f"{head}.{payload[:-4]}AAAA.{signature}")
    eme("import", str(file), code=4)


def test_an_older_file_does_not_take_the_place_of_a_newer_one(eme, group, cerebrate):
    from eme_connector.adapters.keys import KeySigner

    old, new = eme.folder / "old.jws", eme.folder / "new.jws"
    eme("export", str(old))
    eme("export", str(new))
    signer = KeySigner(eme.folder / "data" / "keys" / "signing.pem")
    eme.sections["sync"]["certificate"] = signer.certificate
    write(eme.path, eme.sections)

    eme("import", str(new))
    eme("import", str(old), code=6)
    eme("import", str(new))


def test_without_the_section_it_says_so(eme):
    del eme.sections["sync"]
    write(eme.path, eme.sections)

    assert "sync" in eme("diff", code=3)


def test_with_every_s_the_sidecar_does_it_by_itself(eme, group, cerebrate, misp):
    from eme_connector import config
    from eme_connector.bootstrap import build, prepare
    from eme_connector.usecases.schedule import run_now

    eme.sections["sync"]["every_s"] = 5
    write(eme.path, eme.sections)
    loaded = config.load(eme.path, {})
    prepare(loaded)
    system = build(loaded)
    (job,) = [one for one in system.jobs() if one.name == "relay-groups"]
    turn = run_now(job, system.store, system.clock)

    assert (turn.state, turn.detail["targets"]["fleet"]["state"]) == ("done", "converged")
    assert members(misp, group["uuid"]) == of_group(cerebrate, group)
    system.store.close()


def test_what_was_read_is_confirmed_by_its_code_and_nothing_else_is(eme, group, cerebrate, misp):
    eme("apply")
    for key in [key for key in cerebrate.state.members if key[0] == group["id"]]:
        del cerebrate.state.members[key]
    said = eme("diff", code=2)
    (read,) = {one["confirm"] for one in eme("diff", "--json", code=2)["targets"][0]["differences"]}
    assert f"eme sg apply fleet --confirm {read}" in said

    other = read[:-1] + ("0" if read[-1] != "0" else "1")
    eme("apply", "--confirm", other, code=2)
    assert len(members(misp, group["uuid"])) == 3
    eme("apply", "--confirm", read)
    assert members(misp, group["uuid"]) == set()


def test_a_confirmation_that_cannot_be_one_is_refused_before_anything_is_asked(eme, misp):
    before = len(misp.calls)

    said = eme("apply", "--confirm", "Transport", code=2)

    assert "neither a group's uuid, UUID@CODE, nor `all`" in said
    assert len(misp.calls) == before


def test_the_status_tells_the_last_cycle_without_asking(eme, group, misp):
    assert "never" in eme("status")
    eme("apply")
    before = len(misp.calls)

    found = eme("status", "--json")["targets"][0]

    assert (found["state"], found["found"]["done"]) == ("converged", 7)
    assert found["last_apply"]["by"].startswith("cli:")
    assert len(misp.calls) == before
    assert "converged" in eme("status")


def test_a_cycle_that_wrote_nothing_leaves_no_run_so_that_undo_finds_the_last_apply(
    eme, group, cerebrate, misp
):
    eme("apply")
    eme.sections["sync"]["targets"][0]["key"] = "x" * 40
    write(eme.path, eme.sections)
    said = eme("apply", code=8)

    assert "key-refused, it does not know the key" in said
    assert "next: make a new one there" in said
    assert len(eme("log", "--json")["rows"]) == 1
    assert eme("status", "--json")["targets"][0]["reason"] == "key-refused"


def test_the_doctor_looks_at_each_target(eme, group):
    def told():
        done = CliRunner().invoke(main, ["--config", str(eme.path), "doctor"])
        return [line for line in done.output.splitlines() if "relay fleet" in line]

    eme("status")
    assert told() == ["✓ relay fleet: it lets us write; last cycle: never"]
    eme.sections["sync"]["targets"][0]["key"] = "x" * 40
    write(eme.path, eme.sections)
    assert told() == ["✗ relay fleet: key-refused: it does not know the key"]


def test_a_source_that_is_down_is_named_with_what_to_do(eme, cerebrate):
    cerebrate.stop()

    said = eme("diff", code=8)

    assert "unreachable: the source: it cannot be reached" in said
    assert "→ check its url" in said


def test_what_peers_export_writes_says_whose_files_are_believed(eme, group):
    out = str(eme.folder / "out.jws")
    eme("export", out)
    peer = eme.folder / "site.peer"
    done = CliRunner().invoke(main, ["--config", str(eme.path), "peers", "export", str(peer)])
    assert done.exit_code == 0, done.output

    eme.sections["sync"] |= {"source": "file"}
    write(eme.path, eme.sections)
    assert "eme peers export FILE" in eme("import", out, code=4)
    eme.sections["sync"] |= {"certificate_file": "site.peer"}
    write(eme.path, eme.sections)
    assert "1 groups imported" in eme("import", out)
