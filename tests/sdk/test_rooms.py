"""Rooms, connections to them, and grants."""

import jwt
import pytest
from documents import FULL_SCOPE, full_scope
from meshagent.api.client import (
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    RoomException,
    ValidationErrorResponse,
)
from meshagent.api.participant_token import ApiScope, ParticipantToken

# What clients can enter: the SDK's own rule, which it never asks.
NAMES = ["plain", "0", "a--b", "room-2", "x" * 63]

OTHERS = ["", "A", "with spaces", "ünïcödé", "a/b", "what?", "dots.", "..", "-a", "a-", "x" * 64]


@pytest.mark.parametrize("name", NAMES)
async def test_a_room_of_any_name_lives_its_life(platform, name):
    async with platform.project() as (client, project):
        metadata = {"displayName": name, "n": [1, None, {"x": 1.5}]}
        created = await client.create_room(
            project_id=project, name=name, metadata=metadata, annotations={"k": name}
        )
        read = await client.get_room(project_id=project, name=name)
        assert read == created
        assert (read.name, read.metadata, read.annotations) == (
            name,
            metadata,
            {"k": name},
        )
        connection = await client.connect_room(project_id=project, room=name)
        assert (connection.room_name, connection.project_id) == (name, project)
        assert connection.room_url.startswith("ws")
        await client.update_room(
            project_id=project, room_id=created.id, name="renamed", metadata={}
        )
        changed = await client.get_room(project_id=project, name="renamed")
        assert (changed.id, changed.metadata, changed.annotations) == (
            created.id,
            {},
            {"k": name},
        )
        await client.delete_room(project_id=project, room_id=created.id)
        with pytest.raises(RoomException, match="not found"):
            await client.get_room(project_id=project, name="renamed")


@pytest.mark.parametrize("name", OTHERS)
async def test_a_room_that_no_client_could_enter_is_not_made(platform, name):
    async with platform.project() as (client, project):
        with pytest.raises(ValidationErrorResponse):
            await client.create_room(project_id=project, name=name)
        assert await client.list_rooms(project_id=project) == []


async def test_a_name_is_taken_once(platform):
    async with platform.room() as (client, project, room):
        with pytest.raises(ConflictError):
            await client.create_room(project_id=project, name="demo")
        again = await client.create_room(
            project_id=project, name="demo", if_not_exists=True, metadata={"x": 1}
        )
        assert again == room
        other = await client.create_room(project_id=project, name="other")
        with pytest.raises(ConflictError):
            await client.update_room(project_id=project, room_id=other.id, name="demo")
        with pytest.raises(ValidationErrorResponse):
            await client.create_room(project_id=project, name="")


async def test_rooms_come_in_pages(platform):
    async with platform.project() as (client, project):
        names = [f"room-{number:03}" for number in range(120)]
        for name in reversed(names):
            await client.create_room(project_id=project, name=name)
        assert len(await client.list_rooms(project_id=project)) == 50
        found = []
        for offset in (0, 50, 100, 150):
            page = await client.list_rooms(project_id=project, offset=offset)
            found += [room.name for room in page]
        assert found == names
        page = await client.list_rooms(project_id=project, limit=3, offset=119)
        assert [room.name for room in page] == names[119:]


async def test_permissions_of_a_new_room_become_grants(platform):
    async with platform.project() as (client, project):
        await client.add_user_to_project(project, "user-1")
        room = await client.create_room(
            project_id=project, name="demo", permissions={"user-1": FULL_SCOPE}
        )
        grant = await client.get_room_grant(
            project_id=project, room_id=room.id, user_id="user-1"
        )
        assert grant.permissions == full_scope()


async def test_a_connection_is_signed_for_the_room(platform):
    async with platform.room() as (client, project, room):
        connection = await client.connect_room(project_id=project, room="demo")
        claims = jwt.decode(connection.jwt, options={"verify_signature": False})
        assert claims["sub"] == project
        grants = {grant["name"]: grant["scope"] for grant in claims["grants"]}
        assert grants["room"] == "demo"
        with pytest.raises(NotFoundError):
            await client.connect_room(project_id=project, room="none")


async def test_grants_live_their_life(platform):
    async with platform.room() as (client, project, room):
        user = "user/with ü?#"
        await client.add_user_to_project(project, user)
        await client.create_room_grant(
            project_id=project, room_id=room.id, user_id=user, permissions=full_scope()
        )
        grant = await client.get_room_grant(
            project_id=project, room_id=room.id, user_id=user
        )
        assert (grant.user_id, grant.room.id) == (user, room.id)
        assert grant.permissions == full_scope()
        with pytest.raises(ConflictError):
            await client.create_room_grant(
                project_id=project,
                room_id=room.id,
                user_id=user,
                permissions=ApiScope(),
            )
        narrower = ApiScope.agent_default()
        await client.update_room_grant(
            project_id=project, room_id=room.id, user_id=user, permissions=narrower
        )
        grant = await client.get_room_grant(
            project_id=project, room_id=room.id, user_id=user
        )
        assert grant.permissions == narrower
        await client.delete_room_grant(
            project_id=project, room_id=room.id, user_id=user
        )
        with pytest.raises(NotFoundError):
            await client.get_room_grant(
                project_id=project, room_id=room.id, user_id=user
            )
        with pytest.raises(NotFoundError):
            await client.update_room_grant(
                project_id=project, room_id=room.id, user_id=user, permissions=narrower
            )


async def test_grants_are_listed_from_every_side(platform):
    async with platform.project() as (client, project):
        rooms = [
            await client.create_room(project_id=project, name=name)
            for name in ("a-b", "b-c", "d")
        ]
        await client.add_user_to_project(project, "user-1")
        for room in rooms:
            await client.create_room_grant(
                project_id=project,
                room_id=room.id,
                user_id="user-1",
                permissions=ApiScope.full(),
            )
        await client.create_room_grant_by_email(
            project_id=project,
            room_id=rooms[0].id,
            email="new@example.test",
            permissions=ApiScope.agent_default(),
        )
        everything = await client.list_room_grants(project_id=project)
        assert len(everything) == 4
        page = await client.list_room_grants(project_id=project, limit=3, offset=3)
        assert len(page) == 1
        by_user = await client.list_room_grants_by_user(
            project_id=project, user_id="user-1"
        )
        assert sorted(grant.room.name for grant in by_user) == ["a-b", "b-c", "d"]
        by_room = await client.list_room_grants_by_room(
            project_id=project, room_name="a-b"
        )
        assert len(by_room) == 2
        counted = await client.list_unique_rooms_with_grants(project_id=project)
        assert {item.room.name: item.count for item in counted} == {
            "a-b": 2,
            "b-c": 1,
            "d": 1,
        }
        counted = await client.list_unique_users_with_grants(project_id=project)
        assert sorted(item.count for item in counted) == [1, 3]
        assert "new@example.test" in [item.email for item in counted]
        with pytest.raises(ValidationErrorResponse):
            await client.create_room_grant(
                project_id=project,
                room_id=rooms[0].id,
                user_id="stranger",
                permissions=ApiScope(),
            )


async def test_a_participant_token_acts_with_what_its_grant_gives(platform):
    async with platform.project() as (client, project):
        key = (await client.create_api_key(project, "signer", ""))["value"]
        token = ParticipantToken(name="someone")
        token.add_room_grant("demo")
        token.add_api_grant(ApiScope.agent_default())
        async with platform.client(token.to_jwt(api_key=key)) as reader:
            assert (await reader.get_project(project))["id"] == project
            with pytest.raises(PermissionDeniedError):
                await reader.create_room(project_id=project, name="x")
        token = ParticipantToken(name="admin")
        token.add_api_grant(ApiScope.full())
        async with platform.client(token.to_jwt(api_key=key)) as builder:
            await builder.create_room(project_id=project, name="x")
            with pytest.raises(PermissionDeniedError):
                await builder.create_api_key(project, "not for tokens", "")
        token = ParticipantToken(name="someone")
        token.add_room_grant("demo")
        async with platform.client(token.to_jwt(api_key=key)) as nobody:
            with pytest.raises(PermissionDeniedError):
                await nobody.get_project(project)
        forged = ParticipantToken(name="admin")
        forged.add_api_grant(ApiScope.full())
        head, _, _ = key.rpartition("-")
        async with platform.client(forged.to_jwt(api_key=f"{head}-wrong")) as forger:
            with pytest.raises(RoomException, match="401"):
                await forger.get_project(project)
