"""What viewers are computed from: our registers, our MISP and those behind it."""

from __future__ import annotations

from eme_connector import config as configuration
from eme_connector.config import Config
from eme_connector.domain.directory import GroupServer
from eme_connector.domain.sharing import (
    GroupRule,
    MispInstance,
    Organisation,
    RegisteredAsset,
    SharingGroup,
    Topology,
)
from eme_connector.domain.threat import Kind, Tlp


def topology(config: Config) -> Topology:
    """Return the organisations, sharing groups and MISPs of *config*."""
    return Topology(
        organisations={one.uuid: _organisation(one) for one in config.organisations},
        groups={one.uuid: _group(one) for one in config.sharing_groups},
        misp=_ours(config),
        behind=_behind(config),
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


def _behind(config: Config) -> tuple[MispInstance, ...]:
    """Return the MISPs of members: we push there as our own organisation."""
    if config.misp is None:
        return ()
    own = config.instance.organisation
    return tuple(
        MispInstance(one.url, one.organisation, own, one.organisations | {one.organisation})
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
