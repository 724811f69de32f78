"""Telling on every configured way at once: each says how it went, and none can do harm."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from batch_offboard.config import Notices
from batch_offboard.notices import webhook
from batch_offboard.notices.delivery import Delivery, tell
from batch_offboard.notices.notice import Happening, Notice

if TYPE_CHECKING:
    from tests.integration.notices.conftest import FixedClock, OpenHook, OpenPost

Make = Callable[..., Notice]
CANARY = "https://hooks.example/canary"


def configured(**keys: Any) -> Notices:
    return Notices.model_validate(keys)


async def test_every_way_is_told_and_says_so(
    open_hook: "OpenHook", open_post: "OpenPost", clock: "FixedClock", notice: Make, tmp_path: Path
) -> None:
    report = tmp_path / "b-1.csv"
    report.write_text("row\n1\n", encoding="utf-8")
    async with open_hook(web.Response(status=200)) as hook, open_post() as post:
        config = configured(
            webhook_url_env="HOOK",
            mail_to="a@example.com , b@example.com",
            mail_from="bo@example.com",
            mail_server=post.address,
            textfile=tmp_path / "bo.prom",
        )
        told = await tell(notice(reports=(report,)), config, {"HOOK": hook.url}, clock)
    assert told == [
        Delivery("json webhook"),
        Delivery("mail to a@example.com, b@example.com"),
        Delivery(f"textfile {tmp_path / 'bo.prom'}"),
    ]
    assert all(each.delivered for each in told)
    assert json.loads(hook.bodies[0])["event"] == "finished"
    assert post.envelopes == [("bo@example.com", ["a@example.com", "b@example.com"])]
    assert post.mails[0]["Subject"] == "batch-offboard finished successfully on ops-1"
    assert [part.get_filename() for part in post.mails[0].iter_attachments()] == ["b-1.csv"]
    assert "batch_offboard_last_exit_code 0" in (tmp_path / "bo.prom").read_text(encoding="utf-8")


@pytest.mark.parametrize(("kind", "key"), [("json", "event"), ("teams", "attachments"), ("slack", "blocks")])
async def test_a_webhook_gets_what_its_kind_reads(
    open_hook: "OpenHook", clock: "FixedClock", notice: Make, kind: str, key: str
) -> None:
    async with open_hook(web.Response(status=200)) as hook:
        await tell(notice(), configured(webhook_kind=kind, webhook_url_env="HOOK"), {"HOOK": hook.url}, clock)
    assert key in json.loads(hook.bodies[0])


@pytest.mark.parametrize("happening", list(Happening))
@pytest.mark.parametrize("wanted", ["finished", "stopped, missed_night"])
async def test_nobody_is_told_of_what_they_did_not_want_to_hear(
    open_hook: "OpenHook", clock: "FixedClock", notice: Make, happening: Happening, wanted: str
) -> None:
    config = configured(webhook_url_env="HOOK", on=wanted)
    async with open_hook(web.Response(status=200)) as hook:
        told = await tell(notice(happening=happening), config, {"HOOK": hook.url}, clock)
    assert len(told) == len(hook.bodies) == (1 if happening in wanted else 0)


async def test_without_a_way_nobody_is_told(clock: "FixedClock", notice: Make) -> None:
    assert await tell(notice(), configured(), {}, clock) == []


async def test_a_missing_secret_is_one_sentence_that_names_its_place(clock: "FixedClock", notice: Make) -> None:
    (told,) = await tell(notice(), configured(webhook_url_env="HOOK"), {}, clock)
    assert told.problem == ("The variable HOOK (notices.webhook_url_env) is missing or empty; put the secret there")


async def test_one_way_that_fails_does_not_keep_the_others_from_telling(
    open_hook: "OpenHook", clock: "FixedClock", notice: Make, tmp_path: Path
) -> None:
    async with open_hook(web.Response(status=404)) as hook:
        config = configured(webhook_url_env="HOOK", textfile=tmp_path / "bo.prom")
        told = await tell(notice(), config, {"HOOK": hook.url}, clock)
    assert [each.delivered for each in told] == [False, True]


async def test_a_textfile_that_cannot_be_written_is_said(clock: "FixedClock", notice: Make, tmp_path: Path) -> None:
    (told,) = await tell(notice(), configured(textfile=tmp_path / "no" / "bo.prom"), {}, clock)
    assert told.problem == "the file cannot be written (No such file or directory)"


async def test_a_mistake_of_ours_is_a_failed_delivery_and_shows_no_secret(
    clock: "FixedClock", notice: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_arguments: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr(webhook, "post", broken)
    (told,) = await tell(notice(), configured(webhook_url_env="HOOK"), {"HOOK": CANARY}, clock)
    assert told.problem == "unexpected RuntimeError, a bug in the program"


@pytest.mark.looptime
async def test_all_ways_together_take_no_longer_than_one(
    open_hook: "OpenHook", clock: "FixedClock", notice: Make
) -> None:
    start = asyncio.get_running_loop().time()
    async with open_hook("hang") as hook, open_hook("hang"):
        config = configured(
            webhook_url_env="HOOK",
            timeout=20.0,
            mail_to="a@example.com",
            mail_from="b@example.com",
            mail_server=hook.url.split("/")[2],
        )
        told = await tell(notice(), config, {"HOOK": hook.url}, clock)
        assert asyncio.get_running_loop().time() - start == pytest.approx(20, abs=0.5)
    assert [each.problem for each in told] == ["no answer came within 20 s"] * 2
