"""A machine as the service returns it, and the defaults of the fields that a fleet omits."""

from typing import Final

Machine = dict[str, object]

# The default of every field: an ordinary, healthy Windows 11 machine. A large fleet stores only the differences, which
# takes a quarter of the memory.
HEALTHY: Final[Machine] = {
    "id": None,
    "mergedIntoMachineId": None,
    "isPotentialDuplication": False,
    "isExcluded": False,
    "exclusionReason": None,
    "computerDnsName": None,
    "firstSeen": None,
    "lastSeen": None,
    "osPlatform": "Windows11",
    "osVersion": None,
    "osProcessor": "x64",
    "version": "24H2",
    "lastIpAddress": "10.20.4.17",
    "lastExternalIpAddress": "203.0.113.9",
    "agentVersion": "10.8800.26100.4000",
    "osBuild": 26100,
    "healthStatus": "Active",
    "deviceValue": "Normal",
    "rbacGroupId": 0,
    "rbacGroupName": None,
    "riskScore": "None",
    "exposureLevel": "Low",
    "isAadJoined": True,
    "aadDeviceId": None,
    "machineTags": [],
    "defenderAvStatus": "Updated",
    "onboardingStatus": "Onboarded",
    "osArchitecture": "64-bit",
    "managedBy": "Intune",
    "managedByStatus": "Unknown",
    "ipAddresses": [],
    "vmMetadata": None,
}


def complete(machine: Machine) -> Machine:
    """The machine with every field; omitted ones are those of a healthy machine."""
    return HEALTHY | machine
