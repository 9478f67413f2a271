"""Service accounts, their keys, secrets, settings and roles through the public SDK and command line."""

import hashlib

import pytest
from conftest import old
from meshagent.api.client import (
    AccessSubject,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    ValidationErrorResponse,
)
from meshagent.api.specs.service import ServiceSpec


async def test_a_service_account_is_made_changed_and_deleted(platform):
    async with platform.project() as (client, project):
        made = await client.create_service_account(
            project, name="Builder", description="builds", annotations={"a": "b"}
        )
        assert made.key == "builder" and made.email.startswith("builder@")
        assert await client.get_service_account(project, made.id) == made
        assert await client.get_service_account_by_name(project, "builder") == made
        page = await client.list_service_accounts(project, filter=made.email)
        assert page.service_accounts == [made]
        with pytest.raises(ConflictError):
            await client.create_service_account(project, name="builder")
        await client.update_service_account(project, made.id, name="Other")
        got = await client.get_service_account(project, made.id)
        assert (got.name, got.description, got.annotations) == ("Other", "", {"a": "b"})
        await client.delete_service_account(project, made.id)
        with pytest.raises(NotFoundError):
            await client.get_service_account(project, made.id)


async def test_a_key_is_worth_what_its_account_was_granted(platform):
    async with platform.project() as (client, project):
        account = await client.create_service_account(project, name="robot")
        key = await client.create_api_key(project, "k", "", account.id)
        assert [one.id for one in (await client.list_api_keys(project, account.id)).keys] == [
            key.id
        ]
        # 0.31 lists the keys of the project only.
        _, listed = old(platform, "GET", f"/accounts/projects/{project}/api-keys")
        assert listed == {"keys": []}
        policy = {"project_id": project, "resource_type": "project", "resource_id": project}
        subject = AccessSubject(type="service_account", id=account.id)
        async with platform.client(token=key.value) as robot:
            caller = await robot.whoami()
            assert caller.type == "service_account" and caller.service_account == account
            with pytest.raises(PermissionDeniedError):
                await robot.list_rooms(project_id=project)
            await client.grant_resource_policy(**policy, subject=subject, roles=["room_inventory"])
            assert await robot.list_rooms(project_id=project) == []
            with pytest.raises(PermissionDeniedError):
                await robot.create_room(project_id=project, name="demo")
            await client.grant_resource_policy(**policy, subject=subject, roles=["developer"])
            await robot.create_room(project_id=project, name="demo")
            with pytest.raises(PermissionDeniedError):
                await robot.create_api_key(project, "k", "", account.id)
            grants = await client.get_resource_policy(**policy)
            assert [sorted(one.direct_roles) for one in grants if one.subject.id == account.id] == [
                ["developer", "room_inventory"]
            ]
            token = await robot.mint_participant_token(
                project, name="helper", room_name="demo", role="agent", api={"queues": {}}
            )
            claims = await client.validate_participant_token(token=token)
            assert claims.name == "helper"
            with pytest.raises(Exception, match="401"):
                await client.validate_participant_token(token=token + "x")
            await client.revoke_resource_policy(**policy, subject=subject)
            with pytest.raises(PermissionDeniedError):
                await robot.list_rooms(project_id=project)
            await client.delete_api_key(project, key.id, account.id)
            with pytest.raises(Exception, match="401"):
                await robot.whoami()


async def test_people_have_roles_in_the_project_and_its_rooms(platform):
    async with platform.room() as (client, project, room):
        await client.add_user_to_project(project, f"ada-{project}@x.test", ["developer"])
        page = await client.get_users_in_project_page(project)
        [ada] = [one for one in page.users if one.user.email.startswith("ada")]
        assert ada.direct_roles == ["member", "developer"]
        await client.update_project_user(project, ada.user.id, roles=["room_creator"])
        _, listed = old(platform, "GET", f"/accounts/projects/{project}/users")
        [shown] = [one for one in listed["users"] if one["id"] == ada.user.id]
        assert (shown["is_developer"], shown["can_create_rooms"]) == (False, True)
        subject = AccessSubject(type="user", id=ada.user.id)
        policy = {"project_id": project, "resource_type": "room", "resource_id": room.id}
        await client.grant_resource_policy(**policy, subject=subject, roles=["operator"])
        [grant] = await client.get_resource_policy(**policy)
        assert grant.subject.id == ada.user.id and grant.direct_roles == ["operator"]
        await client.grant_resource_policy(**policy, subject=subject, roles=["developer"])
        path = f"/accounts/projects/{project}/room-grants/{room.id}/{ada.user.id}"
        _, shown = old(platform, "GET", path)
        assert shown["permissions"]["tunnels"] is not None
        with pytest.raises(ValidationErrorResponse):
            await client.grant_resource_policy(**policy, subject=subject, roles=["owner"])
        await client.grant_resource_policy(**policy, subject=subject, roles=["viewer"])
        [grant] = await client.get_resource_policy(**policy)
        assert sorted(grant.direct_roles) == ["developer", "operator", "viewer"]
        await client.revoke_resource_policy(**policy, subject=subject)
        assert await client.get_resource_policy(**policy) == []
        await client.remove_user_from_project(project, ada.user.id)


@pytest.mark.parametrize("owner", ["user", "service_account"])
async def test_a_secret_has_a_value_for_each_version(platform, owner):
    async with platform.project() as (client, project):
        where, made_in = {}, {"project_id": project}
        if owner == "service_account":
            account = await client.create_service_account(project, name="holder")
            where = made_in = {"project_id": project, "service_account_id": account.id}
        call = lambda name: getattr(client, name.replace("OWNER", owner))
        create = call("create_OWNER_secret")
        secret = await create(**made_in, name="token", metadata={"provider": "x", "n": 1})
        assert secret.current_version_id is None and secret.type == "opaque"
        one = {**where, "secret_id": secret.id}
        add = call("create_OWNER_secret_version")
        first = await add(**one, value=b"\x00first")
        second = await add(**one, value=b"second", set_current=False)
        assert (first.version, second.version) == (1, 2)
        assert first.value_sha256 == hashlib.sha256(b"\x00first").hexdigest()
        got = await call("get_OWNER_secret")(**one, include_value=True)
        assert got.current_version_id == first.id and got.value_base64
        read = call("access_OWNER_secret_version")
        assert await read(**one, version_id=second.id) == b"second"
        versions = await call("list_OWNER_secret_versions")(**one)
        assert versions == [first, second]
        delete = call("delete_OWNER_secret_version")
        with pytest.raises(ConflictError):
            await delete(**one, version_id=first.id)
        await delete(**one, version_id=second.id)
        changed = await call("update_OWNER_secret")(**one, name="renamed")
        assert changed.metadata == {"provider": "x", "n": 1}
        search = call("search_OWNER_secrets")
        found = await search(**where, provider="x")
        assert [secret.id for secret in getattr(found, "secrets", found)] == [secret.id]
        found = await search(**where, name="token")
        assert getattr(found, "secrets", found) == []
        listed = await call("list_OWNER_secrets")(**where)
        assert secret.id in [one.id for one in getattr(listed, "secrets", listed)]
        hidden = await create(**made_in, name="hidden", http_only=True)
        version = await add(**{**one, "secret_id": hidden.id}, value=b"x")
        with pytest.raises(PermissionDeniedError):
            await read(**{**one, "secret_id": hidden.id}, version_id=version.id)
        await call("delete_OWNER_secret")(**one)
        with pytest.raises(NotFoundError):
            await call("get_OWNER_secret")(**one)


async def test_a_service_acts_for_an_account_with_its_secrets(platform):
    async with platform.project() as (client, project):
        account = await client.create_service_account(project, name="runner")
        where = {"project_id": project, "service_account_id": account.id}
        secret = await client.create_service_account_secret(**where, name="a")
        await client.add_service_account_pull_secret(**where, secret_id=secret.id)
        [pulled] = await client.list_service_account_pull_secrets(**where)
        assert pulled.id == secret.id

        def service(email, id):
            return ServiceSpec.model_validate(
                {
                    "version": "v1",
                    "kind": "Service",
                    "metadata": {"name": "web"},
                    "container": {
                        "image": "x",
                        "run_as": {"email": email, "scopes": ["secrets:read"]},
                        "environment": [{"name": "A", "secret": {"id": id}}],
                    },
                }
            )

        for email, id in ((account.email, "nothing"), ("nobody@x.test", secret.id)):
            with pytest.raises(ValidationErrorResponse):
                await client.create_service(project_id=project, service=service(email, id))
        made = await client.create_service(
            project_id=project, service=service(account.email, secret.id)
        )
        assert made.container.run_as.email == account.email
        with pytest.raises(ConflictError):
            await client.delete_service_account_secret(**where, secret_id=secret.id)
        with pytest.raises(ConflictError):
            await client.delete_service_account(project, account.id)
        await client.delete_service(project_id=project, service_id=made.id)
        await client.remove_service_account_pull_secret(**where, secret_id=secret.id)
        assert await client.list_service_account_pull_secrets(**where) == []
        await client.delete_service_account(project, account.id)


async def test_settings_are_documents(platform):
    async with platform.project() as (client, project):
        for name in ("openai", "anthropic", "grok", "otel", "admission", "room", "router"):
            assert await client.get_project_settings_document(project, name) is None
            document = {"name": name, "deep": {"er": [1, None]}}
            await client.set_project_settings_document(project, name, document)
            assert await client.get_project_settings_document(project, name) == document
            await client.set_project_settings_document(project, name, {})
            assert await client.get_project_settings_document(project, name) == {}
            await client.delete_project_settings_document(project, name)
            assert await client.get_project_settings_document(project, name) is None
        with pytest.raises(ValidationErrorResponse):
            await client.set_project_settings_document(
                project, "room_roles", {"roles": {"nobody": {}}}
            )


async def test_the_command_line_works_with_accounts_and_secrets(platform, command_line):
    async with platform.project() as (client, project):
        cli = command_line(project)
        cli.run("service-account", "create", "robot")
        [account] = (await client.list_service_accounts(project)).service_accounts
        assert "robot" in cli.run("service-account", "list")
        assert account.id in cli.run("service-account", "get", "robot")
        cli.run("service-account", "update", account.id, "--description", "new")
        assert (await client.get_service_account(project, account.id)).description == "new"
        on = ("--service-account", "robot")
        assert "ma-" in cli.run("service-account", "api-key", "create", "k", *on)
        [key] = (await client.list_api_keys(project, account.id)).keys
        assert key.id in cli.run("service-account", "api-key", "list", *on)
        cli.run("service-account", "api-key", "delete", key.id, *on)
        of = ("--subject", "robot")
        cli.run("secret", "create", "s", *of, "--value", "hello")
        page = await client.list_service_account_secrets(
            project_id=project, service_account_id=account.id
        )
        [secret] = page.secrets
        assert secret.id in cli.run("secret", "list", *of)
        assert "hello" in cli.run("secret", "access", secret.id, *of)
        cli.run("secret", "add-version", secret.id, *of, "--value", "again")
        assert "again" in cli.run("secret", "access", secret.id, *of)
        cli.run("secret", "versions", secret.id, *of)
        cli.run("secret", "add-pull-secret", secret.id, *of)
        assert secret.id in cli.run("secret", "pull-secrets", *of)
        cli.run("secret", "remove-pull-secret", secret.id, *of)
        cli.run("secret", "delete", secret.id, *of)
        cli.file("roles.yaml", "version: v1\nkind: RoomRoles\nroles:\n  guest: {site_user: true}\n")
        cli.run("project", "set-room-roles", "roles.yaml")
        document = await client.get_project_settings_document(project, "room_roles")
        assert document["roles"]["guest"]["site_user"] is True
        cli.run("project", "reset-room-roles")
        cli.run("service-account", "delete", "robot")
        assert (await client.list_service_accounts(project)).service_accounts == []
