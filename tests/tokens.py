"""Made-up bearer tokens in realistic form."""

import base64
import json

TENANT, OTHER_TENANT = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"
CLIENT, OTHER_CLIENT = "22222222-2222-4222-8222-222222222222", "77777777-2222-4222-8222-222222222222"


def around(middle: bytes) -> str:
    """A token of three parts; the middle one is unpadded, as in real tokens."""
    return f"a.{base64.urlsafe_b64encode(middle).rstrip(b'=').decode()}.c"


def jwt(claims: object) -> str:
    """A token with these claims and a signature that is never checked."""
    parts = (json.dumps(part).encode() for part in ({"alg": "RS256"}, claims))
    return ".".join([base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts] + ["signature"])
