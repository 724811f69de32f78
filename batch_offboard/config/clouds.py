"""Microsoft's clouds as a table: sign-in URL, API URL and token audience."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Cloud(StrEnum):
    """The clouds that have the API; each with its own hosts."""

    COMMERCIAL = "commercial"
    GCC = "gcc"
    GCC_HIGH = "gcc_high"
    DOD = "dod"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """URLs without a slash at the end; `audience` is that of the token, without `/.default`."""

    sign_in: str
    api_url: str
    audience: str

    @property
    def scope(self) -> str:
        return f"{self.audience}/.default"


_GOVERNMENT = Endpoints(
    sign_in="https://login.microsoftonline.us",
    api_url="https://api-gov.securitycenter.microsoft.us",
    audience="https://api-gov.securitycenter.microsoft.us",
)

# Hosts and sign-in: https://learn.microsoft.com/defender-endpoint/gov. A government cloud's audience is its
# API host. The commercial pair differs on purpose: Microsoft's own samples combine these two names.
CLOUDS: Mapping[Cloud, Endpoints] = MappingProxyType(
    {
        Cloud.COMMERCIAL: Endpoints(
            sign_in="https://login.microsoftonline.com",
            api_url="https://api.security.microsoft.com",
            audience="https://api.securitycenter.microsoft.com",
        ),
        Cloud.GCC: Endpoints(
            sign_in="https://login.microsoftonline.com",
            api_url="https://api-gcc.securitycenter.microsoft.us",
            audience="https://api-gcc.securitycenter.microsoft.us",
        ),
        Cloud.GCC_HIGH: _GOVERNMENT,
        Cloud.DOD: _GOVERNMENT,
    }
)
