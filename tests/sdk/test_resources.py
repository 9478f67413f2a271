"""Secrets, webhooks, mailboxes, routes, scheduled tasks, sessions and files of a project."""

import json
import sqlite3
import uuid

import pytest
from documents import minimal_service
from meshagent.api.client import (
    ConflictError,
    KeysSecret,
    NotFoundError,
    PermissionDeniedError,
    PullSecret,
    RoomException,
    ValidationErrorResponse,
)


def unique(suffix):
    return f"n{uuid.uuid4().hex}{suffix}"


async def test_secrets_live_their_life(platform):
    async with platform.project() as (client, project):
        keys = KeysSecret(id="", name="keys", data={"A": "ü\n", "EMPTY": ""})
        pull = PullSecret(
            id="", name="pull", server="s", username="u", password="p", email="e"
        )
        keys.id = await client.create_secret(project_id=project, secret=keys)
        pull.id = await client.create_secret(project_id=project, secret=pull)
        listed = {one.id: one for one in await client.list_secrets(project)}
        assert (listed[keys.id].type, listed[keys.id].name) == ("keys", "keys")
        assert set(listed[keys.id].data) == {"A", "EMPTY"}
        assert (listed[pull.id].type, listed[pull.id].server) == ("docker", "s")
        keys.name, keys.data = "renamed", {"B": "2"}
        await client.update_secret(project_id=project, secret=keys)
        listed = {one.id: one for one in await client.list_secrets(project)}
        assert listed[keys.id].name == "renamed"
        assert set(listed[keys.id].data) == {"B"}
        await client.delete_secret(project_id=project, secret_id=keys.id)
        assert [one.id for one in await client.list_secrets(project)] == [pull.id]
        with pytest.raises(NotFoundError):
            await client.delete_secret(project_id=project, secret_id=keys.id)
        with pytest.raises(NotFoundError):
            await client.update_secret(project_id=project, secret=keys)
        with pytest.raises(ConflictError):
            await client.create_secret(project_id=project, secret=pull)


async def test_a_secret_in_use_is_not_deleted(platform):
    async with platform.project() as (client, project):
        secret = KeysSecret(id="", name="keys", data={"A": "1"})
        id = await client.create_secret(project_id=project, secret=secret)
        service = minimal_service("uses", container={"image": "i", "secrets": [id]})
        service = await client.create_service(project_id=project, service=service)
        with pytest.raises(ConflictError):
            await client.delete_secret(project_id=project, secret_id=id)
        await client.delete_service(project_id=project, service_id=service.id)
        await client.delete_secret(project_id=project, secret_id=id)


async def test_webhooks_live_their_life(platform):
    async with platform.project() as (client, project):
        # The SDK's own defaults are an empty text for the payload and for the action.
        first = await client.create_webhook(project, "w", "https://x.test/y", ["*"])
        events = ["room.started", "room.ended"]
        second = await client.create_webhook(
            project,
            "v",
            "http://x.test",
            events,
            description="d",
            action="a",
            payload={"k": [1]},
        )
        listed = {one["id"]: one for one in (await client.list_webhooks(project))["webhooks"]}
        assert set(listed) == {first["id"], second["id"]}
        assert {
            key: listed[second["id"]][key]
            for key in ("name", "url", "events", "description", "action", "payload")
        } == {
            "name": "v",
            "url": "http://x.test",
            "events": events,
            "description": "d",
            "action": "a",
            "payload": {"k": [1]},
        }
        await client.update_webhook(
            project, first["id"], "renamed", "https://z.test", ["room.call"]
        )
        listed = {one["id"]: one for one in (await client.list_webhooks(project))["webhooks"]}
        assert listed[first["id"]]["name"] == "renamed"
        assert listed[first["id"]]["events"] == ["room.call"]
        await client.delete_webhook(project, first["id"])
        with pytest.raises(NotFoundError):
            await client.delete_webhook(project, first["id"])
        with pytest.raises(NotFoundError):
            await client.update_webhook(project, first["id"], "w", "https://x.test", ["*"])
        for url, events in (("nowhere", ["*"]), ("https://x.test", ["room.nope"])):
            with pytest.raises(ValidationErrorResponse):
                await client.create_webhook(project, "w", url, events)


async def test_mailboxes_live_their_life(platform):
    async with platform.room() as (client, project, room):
        address = unique("+tag@mail.meshagent.com")
        await client.create_mailbox(
            project_id=project, address=address, room="demo", queue="q"
        )
        read = await client.get_mailbox(project_id=project, address=address)
        assert (read.address, read.room, read.queue) == (address, "demo", "q")
        assert (read.public, read.annotations, read.room_id) == (False, {}, room.id)
        await client.update_mailbox(
            project_id=project,
            address=address,
            room="demo",
            queue="r",
            public=True,
            annotations={"a": "ü"},
        )
        read = await client.get_mailbox(project_id=project, address=address)
        assert (read.queue, read.public, read.annotations) == ("r", True, {"a": "ü"})
        assert await client.list_mailboxes(project_id=project) == [read]
        assert await client.list_room_mailboxes(
            project_id=project, room_name="demo"
        ) == [read]
        with pytest.raises(ConflictError):
            await client.create_mailbox(
                project_id=project, address=address, room="demo", queue="q"
            )
        async with platform.room() as (_, other, _):
            with pytest.raises(ConflictError):
                await client.create_mailbox(
                    project_id=other, address=address, room="demo", queue="q"
                )
            with pytest.raises(PermissionDeniedError):
                await client.get_mailbox(project_id=other, address=address)
        await client.delete_mailbox(project_id=project, address=address)
        with pytest.raises(NotFoundError):
            await client.get_mailbox(project_id=project, address=address)
        with pytest.raises(NotFoundError):
            await client.delete_mailbox(project_id=project, address=address)
        for wrong in (
            {"address": "no address", "room": "demo"},
            {"address": unique("@elsewhere.test"), "room": "demo"},
            {"address": address, "room": "none"},
        ):
            with pytest.raises(ValidationErrorResponse):
                await client.create_mailbox(project_id=project, queue="q", **wrong)


async def test_routes_live_their_life(platform):
    async with platform.room() as (client, project, _):
        domain = unique(".meshagent.app")
        await client.create_route(
            project_id=project, domain=domain, room_name="demo", port="5002"
        )
        read = await client.get_route(project_id=project, domain=domain)
        assert (read.domain, read.room_name, read.port, read.annotations) == (
            domain,
            "demo",
            "5002",
            {},
        )
        await client.update_route(
            project_id=project,
            domain=domain,
            room_name="demo",
            port="80",
            annotations={"a": "b"},
        )
        read = await client.get_route(project_id=project, domain=domain)
        assert (read.port, read.annotations) == ("80", {"a": "b"})
        assert await client.list_routes(project_id=project) == [read]
        assert await client.list_room_routes(
            project_id=project, room_name="demo"
        ) == [read]
        async with platform.room() as (_, other, _):
            with pytest.raises(ConflictError):
                await client.create_route(
                    project_id=other, domain=domain, room_name="demo", port="1"
                )
            with pytest.raises(PermissionDeniedError):
                await client.get_route(project_id=other, domain=domain)
        await client.delete_route(project_id=project, domain=domain)
        with pytest.raises(NotFoundError):
            await client.get_route(project_id=project, domain=domain)
        for wrong in (
            {"domain": "no domain", "room_name": "demo", "port": "1"},
            {"domain": domain, "room_name": "none", "port": "1"},
            {"domain": domain, "room_name": "demo", "port": "http"},
        ):
            with pytest.raises(ValidationErrorResponse):
                await client.create_route(project_id=project, **wrong)


async def test_scheduled_tasks_live_their_life(platform):
    async with platform.room() as (client, project, room):
        task = {"project_id": project, "room_name": "demo", "queue_name": "q"}
        id = await client.create_scheduled_task(
            **task, payload={"prompt": "ü"}, schedule="0 * * * *", annotations={}
        )
        chosen = await client.create_scheduled_task(
            **task,
            payload={},
            schedule="*/5 1-3 * * 1",
            task_id=unique(""),
            active=False,
            once=True,
            annotations={"a": "b"},
        )
        listed = {
            one.id: one for one in await client.list_scheduled_tasks(project_id=project)
        }
        assert set(listed) == {id, chosen}
        first, second = listed[id], listed[chosen]
        assert (first.payload, first.active, first.once) == ({"prompt": "ü"}, True, False)
        assert (first.room_id, first.project_id) == (room.id, project)
        assert (second.active, second.once, second.annotations) == (
            False,
            True,
            {"a": "b"},
        )
        await client.update_scheduled_task(
            project_id=project, task_id=id, schedule="5 4 * * *", active=False
        )
        (changed,) = await client.list_scheduled_tasks(project_id=project, task_id=id)
        assert (changed.schedule, changed.active) == ("5 4 * * *", False)
        assert (changed.payload, changed.queue_name) == ({"prompt": "ü"}, "q")
        assert not await client.list_scheduled_tasks(project_id=project, active=True)
        assert not await client.list_scheduled_tasks(
            project_id=project, room_name="none"
        )
        with pytest.raises(ConflictError):
            await client.create_scheduled_task(
                **task,
                payload={},
                schedule="0 * * * *",
                task_id=chosen,
                annotations={},
            )
        with pytest.raises(ValidationErrorResponse):
            await client.create_scheduled_task(
                **task, payload={}, schedule="nonsense", annotations={}
            )
        await client.delete_scheduled_task(project_id=project, task_id=id)
        with pytest.raises(NotFoundError):
            await client.delete_scheduled_task(project_id=project, task_id=id)
        with pytest.raises(NotFoundError):
            await client.update_scheduled_task(
                project_id=project, task_id=id, active=True
            )


async def test_scheduled_tasks_come_in_pages(platform):
    async with platform.room() as (client, project, _):
        ids = set()
        for number in range(205):
            ids.add(
                await client.create_scheduled_task(
                    project_id=project,
                    room_name="demo",
                    queue_name=f"q{number}",
                    payload={},
                    schedule="0 0 1 1 *",
                    annotations={},
                )
            )
        first = await client.list_scheduled_tasks(project_id=project)
        rest = await client.list_scheduled_tasks(project_id=project, offset=200)
        assert (len(first), len(rest)) == (200, 5)
        assert {one.id for one in first + rest} == ids


async def test_sessions_that_do_not_exist(platform):
    async with platform.project() as (client, project):
        assert await client.list_recent_sessions(project) == []
        assert await client.list_active_sessions(project) == []
        for call in (
            client.get_session,
            client.list_session_events,
            client.list_session_spans,
            client.list_session_metrics,
            client.terminate,
        ):
            with pytest.raises(NotFoundError):
                await call(project, "none")


async def test_sessions_are_read_as_they_were_recorded(platform):
    async with platform.room() as (client, project, room):
        # Rooms that run record sessions; here the records are put into the store.
        (file,) = [
            path
            for path in platform.data.iterdir()
            if path.is_file() and path.read_bytes()[:15] == b"SQLite format 3"
        ]
        with sqlite3.connect(file, timeout=30) as store:
            for number, (id, ended) in enumerate(
                [(unique(""), None), (unique(""), "2026-01-02T00:00:00Z")]
            ):
                store.execute(
                    "INSERT INTO sessions (id, project_id, room_id, room_name,"
                    " created_at, ended_at, participants, seq)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        id,
                        project,
                        room.id if ended is None else None,
                        "demo",
                        "2026-01-01T00:00:00Z",
                        ended,
                        '{"agent": 2}' if ended is None else None,
                        1_000_000_000 + number,
                    ),
                )
                for kind in ("event", "span", "metric"):
                    store.execute(
                        "INSERT INTO session_records (session_id, kind, document, seq)"
                        " VALUES (?, ?, ?, ?)",
                        (
                            id,
                            kind,
                            json.dumps({"type": kind, "data": {"n": number}}),
                            1_000_000_000 + number,
                        ),
                    )
        store.close()
        recent = await client.list_recent_sessions(project)
        (active,) = await client.list_active_sessions(project)
        assert [one.is_active for one in recent] == [False, True]
        assert (active.room_id, active.participants) == (room.id, {"agent": 2})
        assert (await client.get_session(project, active.id))["room_name"] == "demo"
        for call, kind in (
            (client.list_session_events, "event"),
            (client.list_session_spans, "span"),
            (client.list_session_metrics, "metric"),
        ):
            (record,) = await call(project, active.id)
            assert record["type"] == kind
        await client.terminate(project, active.id)


@pytest.mark.parametrize(
    "path", ["plain.txt", "a b/c+d/é世.bin", "what?#&=%2F", "deep/er/and/deeper"]
)
async def test_files_are_stored_and_read_back(platform, path):
    async with platform.project() as (client, project):
        for data in (b"", bytes(range(256)) * 1000, b"shorter"):
            await client.upload(project_id=project, path=path, data=data)
            assert await client.download(project_id=project, path=path) == data
        with pytest.raises(RoomException, match="not found"):
            await client.download(project_id=project, path=f"{path}.none")
        with pytest.raises(RoomException):
            await client.upload(project_id=project, path="../escape", data=b"x")
