"""What a MISP's sharing groups hide, and what only a look at the receiver tells.

The double and a real pair run the same suite: where a real one differs, the double is wrong.
"""

from __future__ import annotations

from uuid import UUID, uuid4, uuid5

from tests.misp.post import Posting, refused, uuid_of


class GroupContract(Posting):
    """Subclass it and give a `pair` fixture (tests.misp.contract.conftest.Pair)."""

    # what a sharing group hides: nothing is even stored then

    def test_a_group_without_us_would_hide_it(self, post):  # S5
        threat = post.threat(post.group(orgs=[post.pair.b.organisation]))

        with refused("own-organisation-missing"):
            post.send(threat)

        assert not post.has(threat)

    def test_a_receiver_under_another_url_would_hide_it(self, post):  # S6
        a, b = post.pair.a, post.pair.b
        alias = b.url.replace("127.0.0.1", "localhost")
        row = {"url": alias, "name": alias, "remote_org_id": self.number(a, b.organisation)}
        made = a.post("/servers/add", row | {"authkey": "0" * 40}).body["Server"]
        threat = post.threat(post.group(servers=[a.url, alias]))

        try:
            with refused("url-differs", alias, b.url):
                post.send(threat)
        finally:
            a.post(f"/servers/delete/{made['id']}")
        assert not post.has(threat)

    def test_a_group_that_names_no_other_misp_reaches_nobody(self, post):  # S7
        threat = post.threat(post.group(servers=[post.pair.a.url]))

        with refused("no-servers"):
            post.send(threat)

        assert not post.has(threat)

    def test_a_roaming_group_that_names_other_servers_would_hide_it(self, post):
        group = post.group(servers=[post.pair.a.url], roaming=True)
        threat = post.threat(group)

        with refused("roaming-with-servers"):
            post.send(threat)

        assert not post.has(threat)

    def test_a_group_that_names_another_misp_does_not_reach_this_member(self, post):  # S7, G12
        a, b = post.pair.a, post.pair.b
        row = {"url": "http://127.0.0.1:9", "name": f"third {uuid4()}", "authkey": "0" * 40}
        row |= {"remote_org_id": self.number(a, b.organisation), "push": False}
        made = a.post("/servers/add", row).body["Server"]
        try:
            group = post.group(servers=[a.url, "http://127.0.0.1:9"])
            threat = post.threat(group)
            with refused("server-not-in-group", b.url):
                post.send(threat)
        finally:
            a.post(f"/servers/delete/{made['id']}")

    def test_a_member_that_is_not_listed_gets_nothing_from_all_orgs(self, post):  # S9
        a, b = post.pair.a, post.pair.b
        servers = [
            {"all_orgs": False, "Server": {"url": a.url, "name": a.url, "all_orgs": False}},
            {"all_orgs": True, "Server": {"url": b.url, "name": b.url, "all_orgs": True}},
        ]
        group = post.group(orgs=[a.organisation], SharingGroupServer=servers)
        threat = post.threat(group)

        with refused("member-missing", b.organisation):
            post.send(threat)

        assert not post.has(threat)

    def test_a_misp_opened_to_everybody_is_refused(self, post):
        a, b = post.pair.a, post.pair.b
        servers = [
            {"all_orgs": True, "Server": {"url": one.url, "name": one.url, "all_orgs": True}}
            for one in (a, b)
        ]
        threat = post.threat(post.group(SharingGroupServer=servers))

        with refused("all-orgs", a.url):
            post.send(threat)

        assert not post.has(threat)

    def test_a_member_that_our_group_has_not_is_refused(self, post):  # S12, S13
        a, b = post.pair.a, post.pair.b
        other = self.organisation(a)
        group = post.group(orgs=[a.organisation, b.organisation, other])
        threat = post.threat(group)

        with refused("group-differs", other):
            post.send(threat)

        assert not post.has(threat)

    def test_a_member_with_users_on_our_own_misp_reads_it_there(self, open_post):
        post = open_post(at_home=True)
        threat = post.threat(post.group(servers=[post.pair.a.url]))

        receipt = post.send(threat)

        assert receipt.detail["members"] == {post.pair.b.organisation: {"reason": "reads-here"}}
        assert post.pair.a.has(uuid_of(threat), role="sync")

    def test_one_member_that_is_missing_does_not_keep_it_from_the_others(self, post):
        a, b = post.pair.a, post.pair.b
        other = str(uuid4())
        threat = post.threat(post.group(known=(a.organisation, b.organisation, other)))

        receipt = post.send(threat)

        said = receipt.detail["members"]
        assert said[other]["reason"] == "member-missing"
        assert said[b.organisation] == {"check": True}

    def test_a_group_that_misp_does_not_have_is_named(self, post):
        uuid = str(uuid4())
        post.know(uuid, post.pair.a.organisation, post.pair.b.organisation)

        with refused("sharing-group-unknown", uuid):
            post.send(post.threat(uuid))

    # what only a look at the receiver tells

    def test_a_member_added_without_a_newer_date_is_missing_there(self, post):  # S10, S11
        a, b = post.pair.a, post.pair.b
        group = post.group()
        threat = post.threat(group)
        post.send(threat)
        other = self.organisation(a)
        post.pair.later()
        assert a.post("/sharing_groups/addOrg", {"sg_id": group, "org_id": other}).status == 200
        post.know(group, a.organisation, b.organisation, other)

        post.send(post.change(threat))
        with refused("group-stale-there", other) as found:
            post.check(threat)
        assert found.value.permanent

        post.pair.later()
        a.post(f"/sharing_groups/edit/{group}", {"description": "newer"})
        post.send(post.change(threat))
        assert post.check(threat).detail["sequence"] == 3

    def test_a_member_that_was_removed_here_but_not_there_is_seen(self, post):  # S12
        a, b = post.pair.a, post.pair.b
        other = self.organisation(a)
        group = post.group(
            orgs=[a.organisation, b.organisation, other],
            known=(a.organisation, b.organisation, other),
        )
        threat = post.threat(group)
        post.send(threat)
        post.check(threat)

        assert a.post("/sharing_groups/removeOrg", {"sg_id": group, "org_id": other}).status == 200
        post.know(group, a.organisation, b.organisation)
        post.pair.later()
        post.send(post.change(threat))

        with refused("group-wider-there", other):
            post.check(threat)

    def test_what_arrived_hidden_is_told_by_a_key_that_sees_it(self, open_post):  # S5, S6
        post = open_post(look_as="admin")
        threat = post.threat(None)
        self.publish_hidden(post, threat)

        with refused("hidden-there") as found:
            post.check(threat)

        assert found.value.permanent
        assert not post.has(threat, "b", role="user")

    def test_what_its_people_cannot_see_is_not_seen(self, post):  # S5, G12
        threat = post.threat(None)
        self.publish_hidden(post, threat)

        with refused("not-seen-there") as found:
            post.check(threat)

        assert not found.value.permanent

    def test_what_the_receiver_drops_is_missed(self, post):  # G3, there
        threat = post.threat()
        taken = str(uuid5(UUID(threat.id), "detection/0/name/0"))
        attribute = {"type": "text", "category": "Other", "value": "first", "uuid": taken}
        other = {"uuid": str(uuid4()), "info": "other", "Attribute": [attribute]}
        assert post.pair.b.post("/events/add", other).status == 200

        post.send(threat)

        with refused("dropped-there", "iris-detection.name") as found:
            post.check(threat)
        assert found.value.permanent

    # helpers

    @staticmethod
    def number(side, organisation):
        return next(one["id"] for one in side.organisations() if one["uuid"] == organisation)

    @staticmethod
    def organisation(side):
        """Make an organisation that runs no MISP; return its uuid."""
        uuid = str(uuid4())
        body = {"name": f"eme-{uuid[:8]}", "uuid": uuid, "local": False}
        assert side.post("/admin/organisations/add", body).status == 200
        return uuid

    @staticmethod
    def publish_hidden(post, threat):
        """Let a person publish the threat's event into a group that does not hold our own."""
        b = post.pair.b
        _, number = post.pair.group(orgs=[b.organisation], servers=[post.pair.a.url, b.url])
        document = {"uuid": uuid_of(threat), "info": "by hand", "distribution": "4"}
        attribute = {"type": "text", "category": "Other", "value": "x", "uuid": str(uuid4())}
        document |= {"sharing_group_id": number, "Attribute": [attribute]}
        assert post.pair.a.post("/events/add", document).status == 200
        assert post.pair.a.post(f"/events/publish/{uuid_of(threat)}").status == 200
