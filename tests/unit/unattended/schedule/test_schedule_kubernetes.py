"""The CronJob, read back as YAML."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given

from batch_offboard.base.errors import UsageError
from batch_offboard.config.secret import Access
from batch_offboard.unattended.schedule.job import Job, Start
from batch_offboard.unattended.schedule.kubernetes import data_folder, is_ours, render
from tests.unit.unattended.schedule.conftest import make_job, texts


def manifest_of(job: Job, data: str = "/data") -> Any:
    (file,) = render(job, config="/etc/batch-offboard/config.yaml", data=data).files
    return yaml.safe_load(file.data.decode("utf-8"))


def pod_of(job: Job) -> Any:
    return manifest_of(job)["spec"]["jobTemplate"]["spec"]["template"]["spec"]


@given(argument=texts, folder=texts, state=texts)
def test_command_folder_and_variables_come_back_as_they_went_in(argument: str, folder: str, state: str) -> None:
    job = make_job(arguments=("nightly", argument), folder=f"/{folder}", environment={"XDG_STATE_HOME": state})
    (container,) = pod_of(job)["containers"]
    assert container["command"] == list(job.command(env_file=False))
    assert container["workingDir"] == f"/{folder}"
    assert container["env"] == [{"name": "XDG_STATE_HOME", "value": state}]


def test_the_cron_job_says_when_and_that_one_run_is_enough(job: Callable[..., Job]) -> None:
    manifest = manifest_of(job(start=Start(22, 0, (0, 1, 2, 3, 4), "Europe/Berlin")))
    assert (manifest["apiVersion"], manifest["kind"]) == ("batch/v1", "CronJob")
    assert manifest["metadata"]["name"] == "nightly-test"
    spec = manifest["spec"]
    assert spec["schedule"] == "0 22 * * 1-5"
    assert spec["timeZone"] == "Europe/Berlin"
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0


def test_without_a_zone_none_is_named(job: Callable[..., Job]) -> None:
    assert "timeZone" not in manifest_of(job())["spec"]


@pytest.mark.parametrize(("catch_up", "seconds"), [(True, 43200), (False, 600)])
def test_a_start_is_late_for_longer_if_it_is_to_be_made_up_for(
    job: Callable[..., Job], catch_up: bool, seconds: int
) -> None:
    assert manifest_of(job(catch_up=catch_up))["spec"]["startingDeadlineSeconds"] == seconds


def test_a_secret_file_of_the_pod_is_one_that_the_program_reads(job: Callable[..., Job]) -> None:
    """Kubernetes creates the files of a secret as root, with fsGroup as their group, which may read them."""
    pod = pod_of(job())
    security = pod["securityContext"]
    ours = frozenset({security["runAsGroup"], security["fsGroup"]})
    secrets = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
    assert secrets
    for secret in secrets:
        assert not Access(secret["defaultMode"] | 0o440, security["fsGroup"], ours).is_open


def test_the_mode_of_secret_files_is_written_as_people_write_it(job: Callable[..., Job]) -> None:
    (file,) = render(job(), config="/etc/batch-offboard/config.yaml", data="/data").files
    assert b"defaultMode: 0440\n" in file.data


def test_the_pod_is_nobody_in_particular_and_can_write_to_its_volume_alone(job: Callable[..., Job]) -> None:
    pod = pod_of(job(stop_seconds=212))
    assert pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] == 212
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts["data"]["mountPath"] == "/data"
    assert mounts["config"] == {"name": "config", "mountPath": "/etc/batch-offboard", "readOnly": True}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"] == {"claimName": "nightly-test"}
    assert volumes["config"]["secret"] == {"secretName": "nightly-test-config", "defaultMode": 0o440}
    assert set(mounts) == set(volumes)


def test_the_variables_come_from_a_secret_if_there_is_a_file_of_them(job: Callable[..., Job]) -> None:
    assert pod_of(job(env_file="secrets.env"))["containers"][0]["envFrom"] == [
        {"secretRef": {"name": "nightly-test-env"}}
    ]
    assert "envFrom" not in pod_of(job())["containers"][0]
    notes = render(job(env_file="my.env"), config="/c/config.yaml", data="/data").notes
    assert any("nightly-test-env --from-env-file=my.env" in note for note in notes)


def test_no_word_of_the_manifest_refers_to_another_place_in_it(job: Callable[..., Job]) -> None:
    (file,) = render(job(), config="/c/config.yaml", data="/data").files
    assert "&id" not in file.text


@pytest.mark.parametrize("inbox", ["/inbox", "/etc/batch-offboard/inbox", "/tmp/inbox"])  # noqa: S108  # the fact
def test_an_inbox_without_a_volume_of_its_own_is_refused(inbox: str) -> None:
    with pytest.raises(UsageError, match="volume of its own"):
        data_folder(inbox, None)


def test_inbox_and_journal_share_the_volume() -> None:
    assert data_folder("/data/inbox", "/data/state/journal.db") == "/data"
    with pytest.raises(UsageError, match="journal"):
        data_folder("/data/inbox", "/other/journal.db")


def test_a_cron_job_of_ours_is_told_from_others(job: Callable[..., Job]) -> None:
    assert is_ours(manifest_of(job()))
    assert not is_ours({"metadata": {"labels": {"app": "x"}}})
    assert not is_ours({"metadata": {}})
