"""Projects, rooms, mailboxes and routes through the public SDK and command line."""

import pytest
from conftest import Platform, old, walk
from meshagent.api.client import (
    ConflictError,
    RoomDisabledError,
    ValidationErrorResponse,
)
from meshagent.api.room_server_client import RoomClient
from meshagent.api.specs.service import RouteSpec
from meshagent.api.websocket_protocol import WebSocketClientProtocol


def route(domain, room, paths, **metadata):
    return RouteSpec.model_validate(
        {
            "metadata": {"name": domain, **metadata},
            "domain": domain,
            "backend": {"room": {"name": room}},
            "paths": paths,
        }
    )


async def test_the_configuration_and_the_caller(platform):
    async with platform.client() as client:
        config = await client.get_config()
        assert config.domains.mail == "mail.meshagent.com"
        assert config.version is None
        caller = await client.whoami()
        assert caller.type == "user" and caller.user.id == caller.id


async def test_projects_are_found_by_their_key(platform):
    async with platform.project() as (client, project):
        found = await client.get_project(project)
        assert found.project_key
        again = await client.get_project_by_key(found.project_key)
        assert again == found
        assert found in (await client.list_projects()).projects
        assert (await client.get_project_status(project)).enabled


async def test_rooms_are_listed_page_by_page(small_pages):
    async with small_pages.project() as (client, project):
        names = [f"room-{number}" for number in range(5)]
        for name in reversed(names):
            await client.create_room(project_id=project, name=name)

        async def page(**more):
            return await client.list_rooms_page(project_id=project, view="all", **more)

        found, pages = await walk(page, "rooms")
        assert ([room.name for room in found], pages) == (names, 3)
        assert len(await client.list_rooms(project_id=project)) == 2
        filtered = await client.list_rooms_page(project_id=project, filter="OM-3")
        assert [room.name for room in filtered.rooms] == ["room-3"]
        with pytest.raises(ValidationErrorResponse):
            await page(continuation_token="nonsense")


async def test_a_room_is_made_changed_and_deleted(platform):
    async with platform.room() as (client, project, room):
        assert room.enabled and room.metadata == {}
        got = await client.get_room(project_id=project, name="demo")
        assert got == room
        await client.update_room(
            project_id=project, room_id=room.id, name="renamed", metadata={"a": 1}
        )
        got = await client.get_room(project_id=project, name="renamed")
        assert got.metadata == {"a": 1} and got.enabled
        status = await client.get_room_status(project_id=project, name="renamed")
        assert status.status == "Unallocated"
        await client.delete_room(project_id=project, room_id=room.id)
        assert await client.list_rooms(project_id=project) == []


async def test_nobody_enters_a_room_that_is_disabled(platform):
    async with platform.room() as (client, project, room):
        await client.update_room(
            project_id=project, room_id=room.id, name="demo", enabled=False
        )
        with pytest.raises(RoomDisabledError, match="disabled"):
            await client.connect_room(project_id=project, room="demo")
        # What 0.31 does to the room leaves it so.
        path = f"/accounts/projects/{project}/rooms"
        code, told = old(platform, "PUT", f"{path}/{room.id}", {"name": "demo"})
        assert code == 200 and "enabled" not in told
        assert old(platform, "POST", f"{path}/demo/connect", {})[0] == 423
        assert not (await client.get_room(project_id=project, name="demo")).enabled
        await client.update_room(
            project_id=project, room_id=room.id, name="demo", enabled=True
        )
        await client.connect_room(project_id=project, room="demo")


async def test_mailboxes_are_listed_in_pages(small_pages):
    async with small_pages.room() as (client, project, room):
        addresses = [f"box{number}-{room.id}@mail.localhost" for number in range(3)]
        for address in addresses:
            await client.create_mailbox(
                project_id=project, address=address, room="demo", queue="q", public=True
            )

        async def page(**more):
            return await client.list_mailboxes_page(project_id=project, **more)

        found, pages = await walk(page, "mailboxes")
        assert ([box.address for box in found], pages) == (addresses, 2)
        of_room = await client.list_room_mailboxes_page(
            project_id=project, room_name="demo", offset=2
        )
        assert [box.address for box in of_room.mailboxes] == addresses[2:]
        assert of_room.total == 3
        await client.update_mailbox(
            project_id=project, address=addresses[0], room="demo", queue="r", public=False
        )
        got = await client.get_mailbox(project_id=project, address=addresses[0])
        assert (got.queue, got.public) == ("r", False)
        await client.delete_mailbox(project_id=project, address=addresses[0])
        assert len(await client.list_mailboxes(project_id=project)) == 2


PATHS = [
    {"path": "/", "targetPort": 8000},
    {"path": "/api", "pathType": "exact", "targetPort": "web:8000", "stripPrefix": True},
    {
        "path": "/files",
        "targetContent": {
            "subpath": "/site/",
            "notFound": "404.html",
            "cors": [{"allowedOrigins": ["*"], "allowedMethods": ["get"]}],
        },
    },
]


async def test_a_route_keeps_all_of_its_document(platform):
    async with platform.room() as (client, project, room):
        domain = f"{project}.Example.com"
        spec = route(domain, "demo", PATHS, annotations={"a": "b"})
        spec.metadata.name = "site"
        await client.create_route(project_id=project, spec=spec)
        got = await client.get_route(project_id=project, domain=domain)
        assert got.spec == spec
        assert (await client.list_routes(project_id=project))[0].spec == spec
        of_room = await client.list_room_routes(project_id=project, room_name="demo")
        assert [route.spec for route in of_room] == [spec]
        with pytest.raises(ConflictError):
            await client.create_route(project_id=project, spec=spec)
        # It follows its room.
        await client.update_room(project_id=project, room_id=room.id, name="renamed")
        got = await client.get_route(project_id=project, domain=domain)
        assert got.spec.backend.room.name == "renamed"
        # 0.31 sees its first port, and cannot change it.
        path = f"/accounts/projects/{project}/routes/{domain}"
        _, told = old(platform, "GET", path)
        assert told["route"]["port"] == "8000" and "spec" not in told["route"]
        change = {"room_name": "renamed", "port": "9000"}
        code, told = old(platform, "PUT", path, change)
        assert code == 409 and "0.31" in told["error"]
        plain = route(domain, "renamed", [{"targetPort": 8000}])
        plain.metadata.name = "site"
        await client.update_route(project_id=project, domain=domain, spec=plain)
        assert old(platform, "PUT", path, change)[0] == 200
        got = await client.get_route(project_id=project, domain=domain)
        assert got.spec.paths[0].targetPort == "9000"
        assert got.spec.metadata.name == "site"
        await client.delete_route(project_id=project, domain=domain)
        assert await client.list_routes(project_id=project) == []


async def test_a_route_that_breaks_a_rule_is_refused(platform):
    async with platform.room() as (client, project, _):
        domain = f"{project}.example.com"
        good = route(domain, "demo", [{"targetPort": 1}]).model_dump()
        for change in (
            {"domain": "not a domain"},
            {"backend": {"room": {"name": "nowhere"}, "agent": None}},
            {"backend": {"room": None, "agent": {"name": "nobody"}}, "paths": []},
        ):
            spec = RouteSpec.model_validate({**good, **change})
            with pytest.raises(ValidationErrorResponse):
                await client.create_route(project_id=project, spec=spec)
        await client.create_route(project_id=project, spec=route(domain, "demo", [{"targetPort": 1}]))
        other = route("other.example.com", "demo", [{"targetPort": 1}])
        with pytest.raises(ValidationErrorResponse):
            await client.update_route(project_id=project, domain=domain, spec=other)


async def test_the_command_line_works_with_all_of_them(platform, command_line):
    async with platform.project() as (client, project):
        cli = command_line(project)
        assert "demo" in cli.run("rooms", "create", "demo", "--no-owner")
        assert "demo" in cli.run("rooms", "get", "demo")
        assert "demo" in cli.run("rooms", "list", "--all")
        cli.run("rooms", "update", "--name", "demo", "--disabled")
        assert not (await client.get_room(project_id=project, name="demo")).enabled
        cli.run("rooms", "update", "--name", "demo", "--enabled")
        assert "Unallocated" in cli.run("rooms", "status", "demo")
        found = await client.get_project(project)
        assert found.name in cli.run("project", "get", found.project_key)
        address = f"cli-{project}@mail.meshagent.com"
        at = ("--address", address)
        cli.run("mailbox", "create", *at, "--room", "demo", "--queue", "q")
        assert address in cli.run("mailbox", "list")
        assert address in cli.run("mailbox", "list", "--room", "demo")
        cli.run("mailbox", "update", address, "--queue", "r")
        assert "r" in cli.run("mailbox", "get", address)
        cli.run("mailbox", "delete", address)
        domain = f"{project}.example.com"
        cli.run("route", "create", "--domain", domain, "--room", "demo", "--port", "80")
        cli.run("route", "update", domain, "--port", "81")
        assert "81" in cli.run("route", "get", domain)
        assert domain in cli.run("route", "list")
        assert domain in cli.run("route", "list", "--room", "demo")
        cli.run("route", "delete", domain)
        cli.run("rooms", "delete", "--name", "demo")
        assert await client.list_rooms(project_id=project) == []


@pytest.mark.parametrize("served", ["0.31", "0.56"])
async def test_one_api_alone_is_served(tmp_path, served):
    running = Platform(tmp_path / "data", "--dialect", served)
    try:
        is_new = served == "0.56"
        _, config = old(running, "GET", "/config")
        assert config["api_version"] == {"0.31": "0.31.4", "0.56": "0.56.0"}[served]
        assert config["api_versions"] == [config["api_version"]] and "version" not in config
        project = f"/accounts/projects/{running.environment['MESHAGENT_PROJECT_ID']}"
        # Whatever marks a request has.
        for headers in ({}, {"Consistency": "high"}):
            for path in ("/accounts/whoami", f"{project}/service-accounts"):
                assert old(running, "GET", path, headers=headers)[0] == (200 if is_new else 404)
            for path in (f"{project}/api-keys", f"{project}/webhooks", f"{project}/role"):
                assert old(running, "GET", path, headers=headers)[0] == (404 if is_new else 200)
            _, rooms = old(running, "GET", f"{project}/rooms?page_size=1", headers=headers)
            assert ("continuation_token" in rooms) == is_new
    finally:
        running.stop()


async def test_what_both_apis_spell_alike_is_served(platform):
    async with platform.room() as (client, project, _):
        await client.upload(project_id=project, path="a/b", data=b"c")
        assert await client.download(project_id=project, path="a/b") == b"c"
        me = await client.whoami()
        assert (await client.get_user_profile("me"))["id"] == me.id
        assert await client.list_active_sessions(project) == []
        assert await client.list_recent_sessions(project) == []
        assert await client.list_room_mailboxes(project_id=project, room_name="demo") == []
        [member] = (await client.get_users_in_project(project))["users"]
        assert member["user"]["id"] == me.id and "admin" in member["direct_roles"]
        assert (await client.get_project_info(project)).id == project


async def test_a_session_is_told_while_it_lasts_and_afterwards(platform):
    async with platform.room() as (client, project, room):
        entering = await client.connect_room(project_id=project, room="demo")

        def protocol():
            return WebSocketClientProtocol(url=entering.room_url, token=entering.jwt)

        async with RoomClient(protocol_factory=protocol, reconnect_timeout=0):
            [session] = await client.list_active_sessions(project)
            assert (session.room_id, session.is_active) == (room.id, True)
            recent = await client.list_recent_room_sessions(project, "demo")
            assert [one.id for one in recent] == [session.id]
        for told in (client.list_session_events, client.list_session_spans):
            assert isinstance(await told(project, session.id), list)
        assert isinstance(await client.list_session_metrics(project, session.id), list)
        while (await client.list_recent_room_sessions(project, "demo"))[0].is_active:
            await client.kill_session(project, session.id)
        await client.terminate(project, session.id)
        await client.kill_session(project, session.id)
        counts = await client.get_session_participant_counts(project, session.id)
        assert counts == (await client.get_session(project, session.id))["participants"]
        await client.create_room(project_id=project, name="other")
        assert await client.list_recent_room_sessions(project, "other") == []


async def test_a_profile_keeps_what_a_change_does_not_name(platform):
    async with platform.client() as client:
        await client.update_user_profile("me", "Ada", "Lovelace")
        await client.update_user_profile("me", first_name="Augusta")
        profile = await client.get_user_profile("me")
        assert (profile["first_name"], profile["last_name"]) == ("Augusta", "Lovelace")
        with pytest.raises(ValidationErrorResponse):
            await client.update_user_profile("me", metadata={"a": "b"})
