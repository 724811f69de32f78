"""Signs a person in with the device code flow: a code to be entered in a browser on any device.

The sign-in is kept in memory until the command ends or, if configured, by the operating system, encrypted for this
user. It is never stored unencrypted.
"""

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msal
import platformdirs

from batch_offboard.base.clock import Clock, Moment, local_time
from batch_offboard.base.errors import ConfigError, SignInError, TransientSignInError
from batch_offboard.base.text import one_line
from batch_offboard.defender.signin.renewal import Grant
from batch_offboard.defender.signin.session import Answer, Line, SignInSession, answer_to, grant_in

WAITING = frozenset({"authorization_pending", "slow_down"})


class Person:
    """An `Applicant` that shows the address and the code with `say`; `wait` sleeps (seconds) between two polls."""

    def __init__(
        self,
        line: Line,
        authority: str,
        scope: str,
        cache: Callable[[], Any],
        clock: Clock,
        say: Callable[[str], None],
        wait: Callable[[float], None],
    ) -> None:
        self._line, self._authority, self._scope = line, authority, scope
        self._new_cache, self._clock, self._say, self._wait = cache, clock, say, wait
        self._cache: Any = None

    def first(self) -> Grant:
        """A token of the stored sign-in if there is one and it is still valid, else of a new one."""
        try:
            grant = self._silently(fresh=False)
        except TransientSignInError:
            raise
        except SignInError:
            self._say("The stored sign-in has expired.")
            grant = None
        return grant or self._with_a_code()

    def another(self) -> Grant:
        grant = self._silently(fresh=True)
        if grant is None:
            raise SignInError("No account is signed in, and a run in progress does not prompt for one; start again.")
        return grant

    def _silently(self, *, fresh: bool) -> Grant | None:
        """A token of the stored sign-in, or None without one; `fresh` requests one that was not returned before."""
        accounts: list[dict[str, Any]] = []

        def question(session: SignInSession) -> Answer | None:
            application = self._application(session)
            accounts.extend(application.get_accounts())
            if len(accounts) != 1:
                return None
            answer: Answer | None = application.acquire_token_silent_with_error(
                [self._scope], accounts[0], force_refresh=fresh
            )
            return answer

        answer = answer_to(self._line, question)
        if answer is None:
            return None
        grant = grant_in(answer, self._line)
        if not fresh:
            self._show_account(accounts[0].get("username"))
        return grant

    def _with_a_code(self) -> Grant:
        flow: dict[str, Any] = dict(answer_to(self._line, self._begin) or {})
        if "user_code" not in flow:
            raise self._line.refuse(flow, self._line.status, self._line.asked, ())
        flow["interval"] = max(1, flow["interval"])
        self._show_code(flow)
        answer, asked = self._watch(flow)
        grant = replace(grant_in(answer, self._line), asked=asked)
        claims = answer.get("id_token_claims")
        self._show_account(claims.get("preferred_username") if isinstance(claims, dict) else None)
        return grant

    def _begin(self, session: SignInSession) -> Answer:
        application = self._application(session)
        for account in application.get_accounts():  # from here on, only the new sign-in may be used
            application.remove_account(account)
        flow: Answer = application.initiate_device_flow([self._scope])
        return flow

    def _watch(self, flow: dict[str, Any]) -> tuple[Answer, Moment]:
        """Poll for the sign-in, as often as the service allows, until the code expires.

        Returns the last answer, and when it was requested.
        """
        end = self._clock.now().ticks + flow["expires_in"]

        def question(session: SignInSession) -> Answer:
            answer: Answer = self._application(session).acquire_token_by_device_flow(
                flow, exit_condition=lambda _flow: True
            )
            return answer

        while True:
            self._wait(flow["interval"])
            asked = self._clock.now()
            ended = asked.ticks >= end
            try:
                answer = answer_to(self._line, question) or {}
            except TransientSignInError:
                if ended:
                    raise
                continue
            if answer.get("error") not in WAITING:
                return answer, asked
            if ended:
                return {"error": "code_expired"}, asked

    def _application(self, session: SignInSession) -> Any:
        if self._cache is None:
            self._cache = self._new_cache()
        return msal.PublicClientApplication(
            self._line.asked.application,
            authority=self._authority,
            instance_discovery=False,  # the hosts of each cloud are in our own table
            token_cache=self._cache,
            http_client=session,
            http_cache=self._line.http_cache,
        )

    def _show_code(self, flow: dict[str, Any]) -> None:
        until = local_time(self._clock.now().wall + flow["expires_in"])
        address, code = one_line(str(flow.get("verification_uri"))), one_line(str(flow["user_code"]))
        self._say(f"To sign in, open {address} in a browser and enter the code {code}, until {until}. Ctrl-C stops.")

    def _show_account(self, name: object) -> None:
        self._say(f"Signed in as {one_line(str(name or 'an account without a name'))}.")


def memory_cache() -> Any:
    return msal.TokenCache()


def encrypted_cache(tenant: str, application: str) -> Any:
    """msal's token cache, encrypted by the operating system: DPAPI, the keychain, or the secret service.

    Raises `ConfigError` if none of them is available: nothing is ever written unencrypted.
    """
    try:
        extensions = importlib.import_module("msal_extensions")
    except ImportError:
        raise ConfigError(
            "credential.token_cache: encrypted needs the package msal-extensions, which is not installed; type: "
            "pip install msal-extensions"
        ) from None
    place = _cache_folder() / f"{tenant}-{application}.bin"
    try:
        persistence = extensions.build_encrypted_persistence(str(place))
        encrypted = persistence.is_encrypted
        cache = extensions.PersistedTokenCache(persistence)
    except Exception as error:  # noqa: BLE001  # each back end raises its own types
        raise ConfigError(_no_encryption(type(error).__name__)) from None
    if not encrypted:
        raise ConfigError(_no_encryption("its storage is not encrypted"))
    return cache


def _cache_folder() -> Path:
    return platformdirs.user_state_path("batch-offboard", appauthor=False) / "sign-in"


def _no_encryption(reason: str) -> str:
    return (
        f"credential.token_cache: encrypted does not work here, since this system offers no encryption ({reason}); set "
        "it to memory, or on Linux install python3-gi and gir1.2-secret-1 and unlock the keyring."
    )
