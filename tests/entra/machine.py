"""The identity service of an Azure machine: IMDS of a virtual machine, the endpoint of App Service, and Azure Arc's.

From learn.microsoft.com: "How to use managed identities on a VM", the REST endpoint reference of App Service, and
"Authenticate against Azure resources with Azure Arc-enabled servers".
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.entra.wire import Reply, Request
from tests.tokens import jwt

SYSTEM = "33333333-3333-4333-8333-333333333333"


@dataclass
class Machine:
    """`identities` are the client IDs of its user-assigned identities; it also has the system-assigned `SYSTEM`."""

    tenant_id: str
    resource: str
    identities: tuple[str, ...] = ()
    header: str = "canary-identity-header"
    lifetime: int = 86_400
    now: Callable[[], float] = time.time
    disorders: deque[Reply] = field(default_factory=deque)
    keeps: bool = False
    tokens: list[str] = field(default_factory=list)
    key: Path | None = None
    knows_users: bool = True

    def answer(self, request: Request) -> Reply:
        if self.disorders:
            return self.disorders.popleft()
        if request.path == "/metadata/identity/oauth2/token":
            return self._vm(request)
        if request.path == "/msi/token":
            return self._app_service(request)
        if request.path == "/arc/token":
            return self._arc(request)
        return Reply(404, {"error": "not_found"})

    def _vm(self, request: Request) -> Reply:
        if request.headers.get("metadata") != "true" or "x-forwarded-for" in request.headers:
            return Reply(
                400, {"error": "invalid_request", "error_description": "Required metadata header not specified"}
            )
        identity = self._identity(request.query)
        if identity is None:
            return Reply(400, {"error": "invalid_request", "error_description": "Identity not found"})
        return Reply(body=self._granted(identity) | {"expires_in": str(self.lifetime)})

    def _app_service(self, request: Request) -> Reply:
        if request.headers.get("x-identity-header") != self.header or request.query["api-version"] != "2019-08-01":
            return Reply(401, {"statusCode": 401, "message": "Unauthorized"})
        identity = self._identity(request.query)
        if identity is None:
            return Reply(400, {"statusCode": 400, "message": "No Managed Identity found for specified ClientId"})
        return Reply(body=self._granted(identity) | {"expires_on": str(int(time.time()) + self.lifetime)})

    def _arc(self, request: Request) -> Reply:
        """Whoever asks is sent for the `key` that only a group can read. An older agent does not `know users`: it
        gives the machine's own identity, whichever is asked for."""
        assert self.key is not None
        if "authorization" not in request.headers:
            return Reply(401, {"error": "unauthorized"}, {"WWW-Authenticate": f"Basic realm={self.key}"})
        if request.headers["authorization"] != f"Basic {self.key.read_text(encoding='ascii')}":
            return Reply(403, {"error": "forbidden", "error_description": "The key is not mine."})
        identity = self._identity(request.query) if self.knows_users else SYSTEM
        if identity is None:
            return Reply(400, {"error": "invalid_request", "error_description": "Identity not found"})
        echo = {"client_id": identity} if self.knows_users else {}
        return Reply(body=self._granted(identity) | {"expires_in": str(self.lifetime)} | echo)

    def _identity(self, query: Mapping[str, str]) -> str | None:
        if query.get("resource") != self.resource:
            return None
        wanted = query.get("client_id", SYSTEM)
        return wanted if wanted in (SYSTEM, *self.identities) else None

    def _granted(self, identity: str) -> dict[str, object]:
        """A token; a machine that `keeps` gives the one it has again."""
        if not (self.keeps and self.tokens):
            claims = {"tid": self.tenant_id, "appid": identity, "idtyp": "app", "roles": ["Machine.Offboard"]}
            self.tokens.append(jwt(claims | {"exp": int(self.now()) + self.lifetime, "uti": len(self.tokens)}))
        return {"access_token": self.tokens[-1], "resource": self.resource, "token_type": "Bearer"}
