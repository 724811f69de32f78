"""Token sources made from a configuration, and a fake tenant of Entra ID."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batch_offboard.base.clock import Clock, Moment, SystemClock
from batch_offboard.config import load_config
from batch_offboard.defender.signin import TokenSource, token_source
from batch_offboard.defender.target import connection_of
from tests.entra.office import Office, office
from tests.tokens import CLIENT

SECRET = "q7R~canary.Secret-1"

SignInAs = Callable[..., TokenSource]


class MovableClock:
    """The machine's time, advanced by the test."""

    def __init__(self) -> None:
        self._clock, self.ahead = SystemClock(), 0.0

    def now(self) -> Moment:
        now = self._clock.now()
        return Moment(now.wall + self.ahead, now.ticks + self.ahead, now.boot)

    def wall(self) -> float:
        return self.now().wall

    def pass_by(self, seconds: float) -> None:
        self.ahead += seconds


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def entra(tmp_path: Path, clock: MovableClock) -> Iterator[Office]:
    """A tenant with one application, which has a secret."""
    with office(tmp_path, now=clock.wall) as opened:
        opened.tenant.register(CLIENT, secrets={SECRET: False})
        yield opened
        assert opened.tenant.faults == []


@pytest.fixture
def sign_in_as(entra: Office, clock: Clock) -> SignInAs:
    """The source for a configuration with these keys. `environ` are more variables, such as a secret's."""

    def source(environ: dict[str, str] | None = None, **keys: str) -> TokenSource:
        variables = entra.variables(**keys) | (environ if environ is not None else {})
        config = load_config(None, variables, entra.folder)
        connection = connection_of(config.network, config.workers, variables)
        # The variables themselves, so that a test can change them.
        return token_source(config, connection, environ if environ is not None else variables, clock, entra.told.append)

    return source


@pytest.fixture
def with_secret(sign_in_as: SignInAs) -> TokenSource:
    """The application with its secret in a variable."""
    return sign_in_as({"MY_SECRET": SECRET}, credential__type="client_secret", credential__secret_env="MY_SECRET")


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """With every log enabled."""
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "msal"):
        yield caplog
