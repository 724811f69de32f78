"""How the API is reached: facts only, for whoever configures them and for the client that uses them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Connection:
    """How the API is reached. `proxy_password` is never shown; `timeout` is the whole call's, in seconds."""

    timeout: float = 90.0
    proxy: str | None = None
    proxy_user: str | None = None
    proxy_password: Callable[[], str] | None = None
    use_environment_proxy: bool = False
    ca_file: Path | None = None
    workers: int = 8
