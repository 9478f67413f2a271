"""Projects, their users, roles, settings, keys, and what callers without rights are told."""

import pytest
from meshagent.api.client import (
    NotFoundError,
    PermissionDeniedError,
    RoomException,
    ValidationErrorResponse,
)

UNKNOWN = "00000000-0000-4000-8000-000000000000"


async def test_a_project_is_created_listed_and_read(platform):
    async with platform.client() as client:
        created = await client.create_project("süß / ?#", settings={"a": {"b": [1]}})
        listed = (await client.list_projects())["projects"]
        assert [p["name"] for p in listed if p["id"] == created["id"]] == ["süß / ?#"]
        read = await client.get_project(created["id"])
        assert (read["id"], read["name"]) == (created["id"], "süß / ?#")
        assert await client.get_project_role(created["id"]) == "admin"
        assert (await client.get_project_status(created["id"])).enabled is True


async def test_settings_are_replaced(platform):
    async with platform.project() as (client, project):
        await client.update_project_settings(project, {"x": 1})
        await client.update_project_settings(project, {"y": {"z": None}})
        assert (await client.get_project(project))["settings"] == {"y": {"z": None}}


async def test_users_come_change_and_go(platform):
    async with platform.project() as (client, project):
        await client.add_user_to_project(project, "user-1", is_developer=True)
        users = (await client.get_users_in_project(project))["users"]
        assert "user-1" in [user["id"] for user in users]
        await client.update_project_user(
            project, "user-1", is_admin=True, is_developer=False, can_create_rooms=True
        )
        users = (await client.get_users_in_project(project))["users"]
        (user,) = [user for user in users if user["id"] == "user-1"]
        assert (user["is_admin"], user["is_developer"], user["can_create_rooms"]) == (
            True,
            False,
            True,
        )
        await client.remove_user_from_project(project, "user-1")
        users = (await client.get_users_in_project(project))["users"]
        assert "user-1" not in [user["id"] for user in users]
        with pytest.raises(NotFoundError):
            await client.remove_user_from_project(project, "user-1")


async def test_a_profile_is_read_and_changed(platform):
    async with platform.client() as client:
        before = await client.get_user_profile("me")
        assert before["id"] and "email" in before
        await client.update_user_profile("me", "Ada", "Lovelace")
        after = await client.get_user_profile("me")
        assert (after["first_name"], after["last_name"]) == ("Ada", "Lovelace")
        with pytest.raises(NotFoundError):
            await client.get_user_profile("nobody")


async def test_keys_work_until_they_are_deleted(platform):
    async with platform.project() as (client, project):
        created = await client.create_api_key(project, "ci", "for the pipeline")
        assert created["value"].startswith("ma-")
        keys = (await client.list_api_keys(project))["keys"]
        (key,) = [key for key in keys if key["id"] == created["id"]]
        assert (key["name"], key["description"]) == ("ci", "for the pipeline")
        assert created["value"] not in str(keys)
        async with platform.client(created["value"]) as other:
            assert (await other.get_project(project))["id"] == project
            with pytest.raises(PermissionDeniedError):
                await other.get_project(platform.environment["MESHAGENT_PROJECT_ID"])
        await client.delete_api_key(project, created["id"])
        async with platform.client(created["value"]) as other:
            with pytest.raises(RoomException) as caught:
                await other.get_project(project)
            assert type(caught.value) is RoomException
            assert "Status=401" in str(caught.value)
        with pytest.raises(NotFoundError):
            await client.delete_api_key(project, created["id"])


@pytest.mark.parametrize("token", ["None", "ma-x-y-z", "a.b.c", "'"])
async def test_a_wrong_credential_is_401(platform, token):
    async with platform.client(token) as client:
        with pytest.raises(RoomException) as caught:
            await client.list_projects()
        assert type(caught.value) is RoomException
        assert "Status=401" in str(caught.value)


async def test_what_is_missing_or_wrong_has_its_class(platform):
    async with platform.project() as (client, project):
        with pytest.raises(NotFoundError):
            await client.get_project(UNKNOWN)
        with pytest.raises(ValidationErrorResponse):
            await client.create_project("")
        with pytest.raises(ValidationErrorResponse):
            await client.update_project_settings(project, ["not", "an", "object"])
