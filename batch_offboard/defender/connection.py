"""The settings of the connection to the API, shared by the configuration and the client."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach the API. `proxy_password` is never shown; `timeout` covers the whole call, in seconds."""

    timeout: float = 90.0
    proxy: str | None = None
    proxy_user: str | None = None
    proxy_password: Callable[[], str] | None = None
    use_environment_proxy: bool = False
    ca_file: Path | None = None
    workers: int = 8
