"""What viewers are computed from: our registers, our MISP and those behind it (C1).

The configuration names the organisations that we serve. Sharing groups are those of config.yaml
until a Cerebrate has told of any organisation or group: from then on its groups count alone, and
config.yaml only adds what a Cerebrate cannot say of them (`cap`, `roaming`, `servers`; the last
two come from the relay where it keeps the group in our MISP).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from eme_connector import config as configuration
from eme_connector.config import Config
from eme_connector.config_sync import SyncTarget
from eme_connector.domain.directory import (
    GroupServer,
    RemoteGroup,
    RemoteOrganisation,
    Snapshot,
)
from eme_connector.domain.sharing import (
    GroupRule,
    MispInstance,
    Organisation,
    RegisteredAsset,
    SharingGroup,
    Topology,
)
from eme_connector.domain.threat import Kind, Tlp
from eme_connector.ports import Store

CHECK_S = 1.0
CERT_FIELD, CERT_VALUE = "/eme_role", "cert"


class Registers:
    """The topology as it stands now; what another process learnt is seen within a second."""

    def __init__(
        self, config: Config, store: Store, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._config = config
        self._store = store
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._topology = topology(config)
        self._version = 0
        self._heard = False
        self._check_at = 0.0
        store.subscribe(self._hear)

    def now(self) -> Topology:
        """Return the topology.

        Raises:
            StoreUnavailable: nobody can say who may see what.
        """
        if self._monotonic() >= self._check_at:
            self._check()
        return self._topology

    def _hear(self, touched: frozenset[str]) -> None:
        if "directory" in touched:
            self._heard, self._check_at = True, 0.0

    def _check(self) -> None:
        with self._lock:
            began, self._heard = self._monotonic(), False
            version = self._store.directory_version()
            if version != self._version:
                self._topology = topology(self._config, self._store.directory())
                self._version = version
            # what was heard meanwhile may be newer than what was read
            self._check_at = 0.0 if self._heard else began + CHECK_S


def topology(config: Config, told: Snapshot | None = None) -> Topology:
    """Return the organisations, sharing groups and MISPs of *config* and of what was *told*."""
    told = told or Snapshot()
    ours = {one.uuid: _organisation(one) for one in config.organisations}
    others = {uuid: _told(one) for uuid, one in told.organisations.items()}
    groups = {one.uuid: _group(one) for one in config.sharing_groups}
    if told.organisations or told.groups:
        groups = {uuid: _told_group(one, groups, config) for uuid, one in told.groups.items()}
    for uuid, one in ours.items():
        if uuid in others:
            ours[uuid] = replace(one, contacts=others[uuid].contacts)
    return Topology(others | ours, groups, misp=_ours(config), behind=_behind(config))


def _told(one: RemoteOrganisation) -> Organisation:
    """Return an organisation that only a Cerebrate knows: a CERT where it says so by the field."""
    roles = [value for name, values in one.fields.items() if name.endswith(CERT_FIELD)
             for value in values]  # fmt: skip
    return Organisation(
        one.uuid,
        one.name,
        role="cert" if CERT_VALUE in roles else "ci",
        sector=one.sector,
        location=one.nationality,
        contacts=one.contacts,
    )


def _told_group(
    one: RemoteGroup, configured: Mapping[str, SharingGroup], config: Config
) -> SharingGroup:
    known = configured.get(one.uuid, SharingGroup(one.uuid, one.name, frozenset()))
    if config.misp is not None and (relay := _relay(config.misp.url, config, one.uuid)):
        urls = () if relay.roaming else (relay.url, *relay.servers)
        servers = frozenset(GroupServer(url) for url in urls)
        known = replace(known, roaming=relay.roaming, servers=servers)
    return replace(
        known,
        name=one.name,
        members=frozenset(one.members),
        extending=frozenset(member for member, extend in one.members.items() if extend),
        active=one.active,
    )


def _group(one: configuration.SharingGroup) -> SharingGroup:
    return SharingGroup(
        one.uuid,
        one.name,
        one.members,
        roaming=one.roaming,
        servers=frozenset(GroupServer(url) for url in one.servers),
        cap=Tlp(one.cap) if one.cap else None,
    )


def _ours(config: Config) -> MispInstance | None:
    section, own = config.misp, config.instance.organisation
    if section is None or not section.publish:
        return None
    return MispInstance(section.url, own, own, section.organisations | {own})


def _relay(url: str, config: Config, group: str | None = None) -> SyncTarget | None:
    """Return the relay's target that keeps *group*, or all groups, at the MISP with this URL."""
    for one in config.sync.targets if config.sync else ():
        if one.kind == "misp" and one.url == url and (not one.groups or group in one.groups):
            return one
    return None


def _behind(config: Config) -> tuple[MispInstance, ...]:
    """Return the MISPs of members: we push there as our own organisation."""
    if config.misp is None:
        return ()
    own = config.instance.organisation
    return tuple(
        MispInstance(
            one.url,
            one.organisation,
            own,
            one.organisations | {one.organisation},
            relayed=_relay(one.url, config) is not None,
        )
        for one in config.misp.receivers
    )


def _organisation(one: configuration.Organisation) -> Organisation:
    return Organisation(
        uuid=one.uuid,
        name=one.name,
        role=one.role,
        aliases=one.aliases,
        sector=one.sector,
        location=one.location,
        default_group=one.default_group,
        group_rules=tuple(
            GroupRule(
                rule.group,
                Kind(rule.type) if rule.type else None,
                rule.tag,
                Tlp(rule.tlp) if rule.tlp else None,
            )
            for rule in one.group_rules
        ),
        assets=tuple(
            RegisteredAsset(a.criticality, a.address, a.device, a.type, a.tags) for a in one.assets
        ),
        served_by=one.served_by,
    )
