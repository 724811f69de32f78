"""Opens tenants: the configured one, or one that is embedded for a rehearsal."""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from batch_offboard.base.clock import Clock, LoopClock
from batch_offboard.base.errors import ConfigError, UsageError
from batch_offboard.calls.tenancy import Tenancy, Unreadable, open_tenancy
from batch_offboard.commands.options import Options
from batch_offboard.config import Config, load_config
from batch_offboard.config.places import lock_folder
from batch_offboard.core.batches import Batch
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.defender.target import Target, limits_of, real_target, rehearsal_target
from batch_offboard.journal.reading import Owner, accepted_actions, devices_of, latest_time
from batch_offboard.journal.store import Journal

REHEARSALS = "simulated/rehearsal"  # stands for the tenants of all rehearsals; each batch has its own

Devices = Iterable[tuple[str | None, str | None]]  # ID and name, either of which may be missing
Say = Callable[[str], None]


def unheard(_text: str) -> None:
    """Discard a message."""


class TenantAccess:
    """Opens tenants for one command."""

    def __init__(self, options: Options, journal: Journal, clock: Clock, config: Callable[[], Config | None]) -> None:
        self._options, self._journal, self._clock, self._config = options, journal, clock, config
        self._target: Target | None = None
        self.unreadable = Unreadable.NOTHING  # what the tenant refuses to let us read is not requested again

    def limits(self) -> QuotaLimits:
        """The configured quota, or the API's documented one."""
        config = self._config()
        return limits_of(config.quota) if config else QuotaLimits()

    def config(self) -> Config:
        """The configuration of the real tenant. Raises ConfigError if there is none."""
        options = self._options
        return self._config() or load_config(options.config, options.environ, options.cwd)

    def target(self) -> Target:
        """The real tenant, created once per command. Raises ConfigError without a configuration."""
        options = self._options
        if options.simulate:
            return rehearsal_target("", REHEARSALS, self._config())
        if self._target is None:
            self._target = real_target(self.config(), options.environ, self._clock, options.tell)
        return self._target

    def target_of(self, batch: Batch) -> Target | None:
        """The real tenant of a batch, which must be the configured one; None for a rehearsal."""
        if batch.simulated and not self._options.simulate:
            raise UsageError(f"Batch {batch.batch_id} is a rehearsal; add --simulate.")
        if self._options.simulate and not batch.simulated:
            raise UsageError(f"Batch {batch.batch_id} is real; leave --simulate out.")
        if batch.simulated:
            return None
        target = self.target()
        if target.scope != batch.scope:
            raise ConfigError(
                f"Batch {batch.batch_id} belongs to {batch.scope}, and the configuration names {target.scope}; "
                "use the configuration that the batch was planned with."
            )
        return target

    def owner(self) -> Owner:
        """Whose batches a command without a batch ID means: those of the configured tenant and application, or
        rehearsals."""
        return Owner(simulated=True) if self._options.simulate else Owner(scope=self.target().scope)

    @property
    def is_unreadable(self) -> bool:
        """Whether the tenant has refused to let its devices be read."""
        return Unreadable.MACHINES in self.unreadable

    @asynccontextmanager
    async def of(self, batch: Batch, say: Say) -> AsyncIterator[Tenancy]:
        """Open the batch's tenant for the block; a rehearsal's knows the calls that it accepted earlier."""
        target = self.target_of(batch)
        if target is not None:
            async with self.at(target, say) as tenancy:
                yield tenancy
            return
        earlier = accepted_actions(self._journal, batch.scope_key)
        async with self.embedded(devices_of(self._journal, batch.key), batch.scope, say, earlier) as tenancy:
            yield tenancy

    @asynccontextmanager
    async def at(self, target: Target, say: Say = unheard) -> AsyncIterator[Tenancy]:
        """Open a real tenant for the block; a person who has to sign in does so first."""
        target.token.sign_in()
        opened = open_tenancy(
            self._journal,
            target,
            self._clock,
            lock_folder=lock_folder(),
            unreadable=self.unreadable,
            say=say,
        )
        async with opened as tenancy:
            try:
                yield tenancy
            finally:
                self.unreadable = tenancy.unreadable

    @asynccontextmanager
    async def embedded(
        self, devices: Devices, scope: str, say: Say = unheard, earlier: Iterable[Mapping[str, Any]] = ()
    ) -> AsyncIterator[Tenancy]:
        """An embedded tenant with these devices that has accepted the `earlier` actions, on the event loop's time."""
        from batch_offboard.commands.rehearsal import embedded_tenant

        # An accelerated run leaves the journal ahead of the machine's time; the next run continues from there.
        clock = LoopClock(max(time.time(), latest_time(self._journal)))
        async with embedded_tenant(devices, self.limits(), self._options.faults, clock, earlier) as url:
            target = rehearsal_target(url, scope, self._config())
            async with open_tenancy(self._journal, target, clock, say=say) as tenancy:
                yield tenancy
