"""Renders a job as a CronJob of Kubernetes.

Pure. The manifest follows kubernetes.io/docs/reference/kubernetes-api/workload-resources/cron-job-v1; `timeZone`
requires version 1.27. Paths are those in the container.
"""

from pathlib import PurePosixPath
from typing import Any

import yaml

from batch_offboard.base.errors import UsageError
from batch_offboard.unattended.schedule.job import WRITTEN_BY, Command, File, Job, Rendered

MANAGED_BY = "batch-offboard-schedule"
CONFIG = PurePosixPath("/etc/batch-offboard/config.yaml")
USER_ID = 10001  # never root, whatever the image's own user is


SECRET_MODE = 0o440  # Kubernetes creates secret files as root with fsGroup as their group, by default with 0644


class _Mode(int):
    """A file's mode, written in octal."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Mode, lambda dumper, mode: dumper.represent_scalar("tag:yaml.org,2002:int", f"0{mode:o}"))


def render(job: Job, *, config: str, data: str) -> Rendered:
    """The manifest and the command that applies it. `config` is the file's path, `data` the volume's mount path."""
    manifest = yaml.dump(_cron_job(job, config, data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    file = f"{job.name}.yaml"
    text = f"# {WRITTEN_BY}; `schedule remove --kind kubernetes` removes it.\n{manifest}"
    return Rendered((File(file, text),), (Command(("kubectl", "apply", "-f", file)),), _notes(job, config, data))


def removal(name: str) -> Command:
    return Command(("kubectl", "delete", "cronjob", name))


def question(name: str) -> Command:
    return Command(("kubectl", "get", "cronjob", name, "--ignore-not-found", "-o", "json"))


def is_ours(cron_job: Any) -> bool:
    """Whether `render` made this CronJob, as returned by `kubectl get -o json`."""
    labels = cron_job.get("metadata", {}).get("labels", {})
    return bool(labels.get("app.kubernetes.io/managed-by") == MANAGED_BY)


def _cron_job(job: Job, config: str, data: str) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": job.name, "labels": _labels(job)},
        "spec": {
            "schedule": job.start.cron,
            **({"timeZone": job.start.zone} if job.start.zone else {}),
            "concurrencyPolicy": "Forbid",
            # A start that is later than this is skipped; `window` limits the hours in which sheets are sent.
            "startingDeadlineSeconds": 12 * 3600 if job.catch_up else 600,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 7,
            "jobTemplate": {
                "spec": {
                    "backoffLimit": 0,  # exit codes 1 and 3 are not crashes; the next night continues
                    "template": {"metadata": {"labels": _labels(job)}, "spec": _pod(job, config, data)},
                }
            },
        },
    }


def _labels(job: Job) -> dict[str, str]:
    """A new dict for each use, since YAML would write an alias for a shared one."""
    return {"app.kubernetes.io/name": job.name, "app.kubernetes.io/managed-by": MANAGED_BY}


def _pod(job: Job, config: str, data: str) -> dict[str, Any]:
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": job.stop_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(job, config, data)],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": job.name}},
            {"name": "config", "secret": {"secretName": f"{job.name}-config", "defaultMode": _Mode(SECRET_MODE)}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }


def _container(job: Job, config: str, data: str) -> dict[str, Any]:
    return {
        "name": "nightly",
        "image": job.image,
        "command": list(job.command(env_file=False)),
        "workingDir": job.folder,
        "env": [{"name": name, "value": value} for name, value in job.environment.items()],
        **({"envFrom": [{"secretRef": {"name": f"{job.name}-env"}}]} if job.env_file else {}),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
        "volumeMounts": [
            {"name": "data", "mountPath": data},
            {"name": "config", "mountPath": str(PurePosixPath(config).parent), "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # the container's own, empty at each start
        ],
    }


def data_folder(inbox: str, journal: str | None) -> str:
    """The mount path of the volume for inbox and journal. Raises UsageError if they do not share one."""
    folder = PurePosixPath(inbox).parent
    if folder in {PurePosixPath("/"), CONFIG.parent, PurePosixPath("/tmp")}:  # noqa: S108  # a name, not a use
        raise UsageError(f"The inbox {inbox} must be a folder in a volume of its own; use a path such as /data/inbox.")
    if journal is not None and folder not in PurePosixPath(journal).parents:
        raise UsageError(f"The journal {journal} must be in the inbox's volume, somewhere below {folder}.")
    return str(folder)


def _notes(job: Job, config: str, data: str) -> tuple[str, ...]:
    make = f"kubectl create secret generic {job.name}"
    notes = [
        f"The image {job.image} must contain this program, and `{job.interpreter}` must be its Python.",
        f"Create the secret with the configuration: `{make}-config --from-file={PurePosixPath(config).name}`",
        f"Add a certificate to it with one more --from-file, and name it {PurePosixPath(config).parent}/NAME.",
        f"The PersistentVolumeClaim {job.name} is mounted at {data}, for inbox, journal and locks; not on NFS.",
    ]
    if job.env_file:
        notes.append(
            f"Create the secret with the variables: `{make}-env --from-env-file={job.env_file}` (no quotes in it)"
        )
    else:
        notes.append("Without --env-file the container has no variables; managed_identity needs none.")
    if not job.start.zone:
        notes.append("Without --zone the cluster's time zone applies, usually UTC.")
    return tuple(notes)
