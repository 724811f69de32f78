"""The configuration: a frozen tree of checked values, loaded from YAML and environment variables.

It does no I/O except in `load_config` and the functions that read secrets and files, keeps no secrets (only where they
are), and knows nothing of spreadsheets, HTTP or the journal.
"""

from batch_offboard.config.clouds import CLOUDS, Cloud, Endpoints
from batch_offboard.config.credential import (
    AccessToken,
    Certificate,
    ClientSecret,
    Credential,
    DeviceCode,
    Federated,
    ManagedIdentity,
)
from batch_offboard.config.hours import Hours
from batch_offboard.config.loading import is_configured, load_config
from batch_offboard.config.notices import Notices
from batch_offboard.config.secret import SecretName, SecretPlace, read_assertion_file, read_private_file, read_secret
from batch_offboard.config.tree import Config, Guards, Inbox, Log, Network, Quota

__all__ = [
    "CLOUDS",
    "AccessToken",
    "Certificate",
    "ClientSecret",
    "Cloud",
    "Config",
    "Credential",
    "DeviceCode",
    "Endpoints",
    "Federated",
    "Guards",
    "Hours",
    "Inbox",
    "Log",
    "ManagedIdentity",
    "Network",
    "Notices",
    "Quota",
    "SecretName",
    "SecretPlace",
    "is_configured",
    "load_config",
    "read_assertion_file",
    "read_private_file",
    "read_secret",
]
