"""An embedded Defender tenant on loopback, for rehearsals and tests.

It behaves as Microsoft documents the API, and as its users report it. It imports nothing else of this package: a bug
that client and server share would not be found by any test.
"""

from batch_offboard.simulator.actions import Action, ActionStatus, Pace
from batch_offboard.simulator.calls import Call
from batch_offboard.simulator.faults import FAULT_HELP, Fault, parse_fault
from batch_offboard.simulator.fleet import fleet_of, generate_fleet
from batch_offboard.simulator.fleet_files import read_fleet
from batch_offboard.simulator.model import Tenant
from batch_offboard.simulator.options import SimulatorOptions
from batch_offboard.simulator.platforms import PlatformRule
from batch_offboard.simulator.quotas import QuotaMode
from batch_offboard.simulator.server import RunningSimulator, running_simulator

__all__ = [
    "FAULT_HELP",
    "Action",
    "ActionStatus",
    "Call",
    "Fault",
    "Pace",
    "PlatformRule",
    "QuotaMode",
    "RunningSimulator",
    "SimulatorOptions",
    "Tenant",
    "fleet_of",
    "generate_fleet",
    "parse_fault",
    "read_fleet",
    "running_simulator",
]
