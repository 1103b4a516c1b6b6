"""Logs, metrics and problems carry ids and states only."""

from __future__ import annotations

import json

import pytest
import structlog

from eme_connector.domain.rights import Right
from eme_connector.web.observe import set_up_logs
from tests.bundles import bundle
from tests.web.conftest import PASSWORD

KEYS = {"detection_name", "detection_summary", "source", "actor", "threat", "asset_ip",
        "asset_device", "description", "impacted_actor", "execution_api"}  # fmt: skip


def _texts(value):
    if isinstance(value, dict):
        for key, item in value.items():
            if key in KEYS and isinstance(item, str) and len(item) >= 6:
                yield item
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _use_everything(site, document):
    threat = site.ingest(document).json["threats"][0]["id"]
    person = site.person()
    own = f"ci/threats/{threat}"
    for path in (
        "ci/threats",
        "ci/threats?keyword=modbus",
        own,
        f"{own}/playbook",
        f"{own}/stix",
        "health",
    ):
        assert person.call("GET", f"/api/v1/{path}").status_code == 200
    for path in ("/threats", f"/threats/{threat}", "/policy"):
        assert person.call("GET", path).status_code == 200
    tag = site.eme.store.find_visible_threat(threat, site.eme.organisation.uuid).digest
    form = {"status": "approved", "reason": "seen by somebody"}
    path = f"/api/v1/ci/threats/{threat}/playbook"
    person.call("PUT", path, json=form, headers={"If-Match": f'"{tag}"'})
    person.call("PUT", path, json=form | {"status": "declined"}, headers={"If-Match": f'"{tag}"'})
    return site.client().get("/metrics", headers=site.token(Right.AUDIT)).text


@pytest.fixture
def logs_of_this_test(monkeypatch):
    """Let no logger keep the stream of this test, which is closed at its end."""
    configure = structlog.configure
    monkeypatch.setattr(
        structlog,
        "configure",
        lambda **how: configure(**how | {"cache_logger_on_first_use": False}),
    )
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("logs_of_this_test")
def test_nothing_of_a_detection_or_a_person_is_in_a_log_or_a_metric(make_site, capsys, corpora):
    site = make_site(log={"level": "debug"})
    set_up_logs(site.eme.config.log)
    documents = [bundle()]
    for path in sorted((corpora / "iris").glob("*.json")):
        text = path.read_text().replace("CI-2", "CI-1").replace("CI-3", "CI-1")
        documents.append(json.loads(text))

    metrics = "".join(_use_everything(site, document) for document in documents)
    for path in sorted((corpora / "iris-hostile").glob("h*.json")):
        headers = site.token(Right.INGEST) | {"Content-Type": "application/json"}
        site.client().post("/api/v1/ci/threats", data=path.read_bytes(), headers=headers)
    written = capsys.readouterr()
    log = written.err + written.out

    assert '"event": "request"' in log
    for text in {text for document in documents for text in _texts(document)}:
        assert text not in log, text
        assert text not in metrics, text
    for secret in (PASSWORD, "seen by somebody", site.eme.cookie_secret, "eme_session="):
        assert secret not in log


@pytest.mark.usefixtures("logs_of_this_test")
def test_a_fault_of_ours_shows_a_number_and_logs_no_values(make_site, capsys, monkeypatch):
    site = make_site(log={"level": "info"})
    set_up_logs(site.eme.config.log)

    def fail(_, secret="hunter2-in-a-local-variable"):
        raise KeyError("lost")

    monkeypatch.setattr(type(site.eme.store), "list_threats", fail)
    answer = site.client().get("/api/v1/ci/threats", headers=site.token(Right.READ))
    log = capsys.readouterr().err

    assert answer.status_code == 500
    assert answer.json["detail"].removeprefix("incident ") in log
    assert "hunter2" not in log
