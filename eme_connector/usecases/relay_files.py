"""Sharing groups for sites without a connection: a signed file out, a checked file in."""

from __future__ import annotations

from collections.abc import Collection

from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.directory import Snapshot
from eme_connector.domain.relay import Carried
from eme_connector.errors import ConfigError, Conflict, Malformed, NotAuthenticated, NotFound
from eme_connector.formats import certificate, group_file
from eme_connector.formats.group_file import GroupFile
from eme_connector.ports import Signer, Store, Transaction
from eme_connector.usecases.relay_cycle import Office


def export_groups(
    source: Snapshot, signer: Signer, office: Office, groups: Collection[str] = ()
) -> tuple[str, GroupFile]:
    """Return the signed file of *groups* (uuids; none: all) with their organisations.

    Raises:
        NotFound: the source has no such group.
    """
    if unknown := set(groups) - source.groups.keys():
        raise NotFound(f"the source has no group {', '.join(sorted(unknown))}")
    chosen = {uuid: one for uuid, one in source.groups.items() if not groups or uuid in groups}
    taking_part = {uuid for one in chosen.values() for uuid in (one.owner, *one.members)}
    known = {u: one for u, one in source.organisations.items() if u in taking_part}
    made = GroupFile(office.at, office.organisation, Snapshot(known, chosen))
    payload = group_file.render(made.snapshot, made.organisation, made.serial)
    return signer.sign(payload, issued_at=office.clock()), made


def import_groups(
    jws: bytes, signer: Signer, office: Office, trusted: str | None, *, dry_run: bool = False
) -> GroupFile:
    """Believe a signed file of *trusted* (PEM), or of a peer where nobody is named; keep it.

    Raises:
        NotAuthenticated: nobody whom we believe has signed it.
        Conflict: a newer one of the same signer is here already.
        Malformed, TooLarge, InvalidMessage, StoreUnavailable
    """
    try:
        text = jws.decode("ascii").strip()
    except UnicodeDecodeError as exc:
        raise Malformed("this is not a compact JWS") from exc
    verified = signer.verify(text, _certificate(signer.key_id(text), office.store, trusted))
    found = group_file.parse(verified.payload)
    known = next((o for o in office.store.carried() if o.signer == verified.fingerprint), None)
    if known is not None and known.serial > found.serial:
        raise Conflict("a newer file of the same signer is here already")
    if dry_run:
        return found
    body = group_file.document(found.snapshot, found.organisation, found.serial)
    carried = Carried(verified.fingerprint, found.serial, found.organisation, office.at, body)
    detail = {
        "signer": verified.fingerprint,
        "serial": found.serial,
        "groups": len(found.snapshot.groups),
        "organisations": len(found.snapshot.organisations),
    }
    record = AuditRecord(
        "groups-imported", office.at, office.by, office.organisation, detail=detail
    )

    def work(tx: Transaction) -> None:
        tx.save_carried(carried)
        tx.record(record)

    office.store.transact(work)
    return found


def carried_source(store: Store, trusted: str | None) -> Snapshot:
    """Return what the last file brought: of *trusted* (PEM), or of anybody who was believed.

    Raises:
        ConfigError: nothing was imported yet.
    """
    wanted = certificate.fingerprint(trusted) if trusted else None
    for one in store.carried():
        if wanted in (None, one.signer):
            return group_file.read(one.body).snapshot
    raise ConfigError(["sync.source: no file was imported yet; `eme sg import FILE`"])


def _certificate(key_id: str, store: Store, trusted: str | None) -> str:
    if trusted is not None:
        return trusted
    peer = store.find_peer(key_id)
    if peer is None or peer.revoked_at is not None:
        raise NotAuthenticated(
            f"nobody whom we believe has the key {key_id}; nothing was imported. Let its site run"
            " `eme peers export FILE`, bring that file here by a way that you trust, and name it in"
            " `sync.certificate_file`"
        )
    return peer.certificate
