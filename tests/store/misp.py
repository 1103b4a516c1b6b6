"""What every store has to do with what is taken in from a MISP."""

from __future__ import annotations

from dataclasses import replace

from eme_connector.domain.misp import Enrichment, Known, Mark, Related

MARK = Mark("event", "e-1", 1_795_300_000, "t-1")
RELATED = Related("e-2", "Τρόλεϊ", "CERT", "https://misp.test/events/view/e-2", {"0": 2})
FOUND = Enrichment("t-1", 3, 7, 2, (Known("192.0.2.1", (RELATED,), ("a list",)),), cut=True)


class MispContract:
    """Subclass it and give a `store` fixture."""

    def test_a_mark_comes_back_and_is_replaced(self, store):
        assert store.mark("event", "e-1") is None
        store.transact(lambda tx: tx.save_mark(MARK))
        store.transact(lambda tx: tx.save_mark(replace(MARK, kind="sighting")))
        newer = replace(MARK, value=MARK.value + 1)

        store.transact(lambda tx: tx.save_mark(newer))

        assert store.mark("event", "e-1") == newer
        assert store.transact(lambda tx: tx.find_mark("sighting", "e-1")).value == MARK.value

    def test_an_enrichment_comes_back_as_it_was_saved(self, store):
        assert store.enrichment("t-1") is None
        store.transact(lambda tx: tx.save_enrichment(replace(FOUND, sequence=1, known=())))

        store.transact(lambda tx: tx.save_enrichment(FOUND))

        assert store.enrichment("t-1") == FOUND
