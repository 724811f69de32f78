"""The program signs in by itself: a token when one is needed and not before, and one sentence when there is none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.entra import office as entra_office
from tests.entra.machine import SYSTEM, Machine
from tests.entra.wire import serving
from tests.tokens import CLIENT, OTHER_CLIENT, TENANT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Office, Tenant

SECRET = "q7R~canary.Secret-1"
BY_SECRET = {"type": "client_secret", "secret_env": "MY_SECRET"}
LOUD = {"BATCH_OFFBOARD_DEBUG": "1", "MY_SECRET": SECRET}


@pytest.fixture
def entra(tmp_path: Path) -> Iterator[entra_office.Office]:
    folder = tmp_path / "entra"
    folder.mkdir()
    with entra_office.office(folder) as opened:
        opened.tenant.register(CLIENT, secrets={SECRET: False}, public=True)
        yield opened
        assert opened.tenant.faults == []


def configure(office: Office, tenant: Tenant, entra: entra_office.Office, **settings: Any) -> None:
    defaults = {
        "tenant_id": TENANT,
        "client_id": CLIENT,
        "credential": BY_SECRET,
        "sign_in_url": entra.served.url,
        "network": {"ca_file": str(entra.ca_file)},
    }
    office.configure(tenant, **defaults | settings)


def test_a_run_signs_in_once_and_submits(office: Office, tenant: Tenant, entra: entra_office.Office) -> None:
    configure(office, tenant, entra)
    devices = tenant.take(12)
    ended = office.run("run", office.sheet(devices), "--yes", "--report", "out.csv", **LOUD)
    assert (ended.code, tenant.called(devices)) == (0, devices)
    assert [row["outcome"] for row in office.report("out.csv")] == ["submitted"] * 12
    assert len(entra.asked) == 1
    assert not seen_below(office, ended.out, ended.err, SECRET, *entra.tenant.tokens)


def test_a_plan_without_look_up_of_a_configuration_with_both_ids_asks_nobody(
    office: Office, tenant: Tenant, entra: entra_office.Office
) -> None:
    configure(office, tenant, entra)
    ended = office.run("plan", office.sheet(tenant.take(1)), "--no-lookup", "--json")
    assert ended.code == 0
    assert entra.served.requests == []


def test_a_wrong_secret_is_one_sentence_and_sends_nothing(
    office: Office, tenant: Tenant, entra: entra_office.Office
) -> None:
    configure(office, tenant, entra)
    devices = tenant.take(2)
    ended = office.run("run", office.sheet(devices), "--yes", "--quiet", MY_SECRET="canary-wrong")
    assert ended.code == 5
    assert "variable MY_SECRET (credential.secret_env)" in ended.sentence
    assert "AADSTS7000215" in ended.sentence
    assert len(entra.asked) == 1
    assert tenant.called(devices) == []
    assert not seen_below(office, ended.out, ended.err, "canary-wrong")


def test_an_unknown_application_is_one_sentence(office: Office, tenant: Tenant, entra: entra_office.Office) -> None:
    configure(office, tenant, entra, client_id=OTHER_CLIENT)
    ended = office.run("run", office.sheet(tenant.take(1)), "--yes", "--quiet", **LOUD)
    assert ended.code == 5
    assert "AADSTS700016" in ended.sentence


def test_a_missing_secret_is_a_mistake_of_the_configuration(
    office: Office, tenant: Tenant, entra: entra_office.Office
) -> None:
    configure(office, tenant, entra)
    ended = office.run("run", office.sheet(tenant.take(1)), "--yes", "--quiet", MY_SECRET="")
    assert ended.code == 2
    assert "MY_SECRET" in ended.sentence
    assert entra.served.requests == []


def test_a_person_is_told_the_code_even_by_a_quiet_command(
    office: Office, tenant: Tenant, entra: entra_office.Office
) -> None:
    configure(office, tenant, entra, credential={"type": "device_code"})
    devices = tenant.take(2)
    ended = office.run("run", office.sheet(devices), "--yes", "--quiet")
    assert (ended.code, tenant.called(devices)) == (0, devices)
    assert "enter the code ABCD-EFGH" in ended.err
    assert ended.out == ""


def test_a_machine_tells_whose_identity_it_is_once_for_a_whole_command(
    office: Office, tenant: Tenant, entra: entra_office.Office
) -> None:
    configure(office, tenant, entra, tenant_id=None, client_id=None, credential={"type": "managed_identity"})
    devices = tenant.take(2)
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET"):
        office.environ.pop(name, None)
    with serving(Machine(TENANT, entra_office.RESOURCE).answer) as machine:
        ended = office.run(
            "run", office.sheet(devices), "--yes", "--json", AZURE_POD_IDENTITY_AUTHORITY_HOST=machine.url
        )
    assert (ended.code, tenant.called(devices)) == (0, devices)
    assert len(machine.requests) == 1
    quota = office.run("quota", "--json").json
    assert f"/{SYSTEM}" in str(quota)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no signal that Ctrl-C could be sent as")
def test_ctrl_c_ends_the_waiting_for_a_person(office: Office, tenant: Tenant, entra: entra_office.Office) -> None:
    import signal

    entra.tenant.person[0] = "waits"
    configure(office, tenant, entra, credential={"type": "device_code"})
    devices = tenant.take(1)
    with office.start("run", office.sheet(devices), "--yes", "--quiet") as program:
        program.until(lambda: "ABCD-EFGH" in program.said(), "it told the code")
        program.signal(signal.SIGINT)
        ended = program.ended()
    assert ended.code == 3
    assert ended.last_sentence == "batch-offboard: stopped; nothing more is sent."
    assert tenant.called(devices) == []


def seen_below(office: Office, *texts: str) -> bool:
    """Whether one of the canaries, which come last, is in a file of the office or in the output, which comes first."""
    out, err, *canaries = texts
    places = [
        path.read_bytes() for path in office.folder.parent.rglob("*") if path.is_file() and "entra" not in path.parts
    ]
    places += [out.encode(), err.encode()]
    return any(canary.encode() in place for canary in canaries for place in places)
