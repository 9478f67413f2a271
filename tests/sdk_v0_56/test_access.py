"""Groups, what somebody may do, and who may use a secret, through the public SDK."""

import pytest
from conftest import walk
from meshagent.api import RoomException
from meshagent.api.client import (
    AccessResource,
    AccessSubject,
    ConflictError,
    NotFoundError,
    ValidationErrorResponse,
)

# The roles in a room, each of which includes those before it.
ROOM = ["site_user", "guest", "viewer", "operator", "developer", "admin"]


async def person(client, project, name, *roles):
    """Somebody who joins the project."""
    await client.add_user_to_project(project, f"{name}-{project}@x.test", [*roles])
    users = (await client.get_users_in_project_page(project)).users
    [one] = [one.user for one in users if one.user.email.startswith(name)]
    return AccessSubject(type="user", id=one.id)


async def test_a_group_is_made_changed_and_deleted(small_pages):
    async with small_pages.project() as (client, project):
        here = {"project_id": project}
        made = await client.create_group(**here, name="Builders", annotations={"a": "b"})
        assert await client.get_group(**here, group_id=made.id) == made
        assert await client.get_group_by_name(**here, name="builders") == made
        with pytest.raises(ConflictError):
            await client.create_group(**here, name="builders")
        await client.update_group(**here, group_id=made.id, name="Others", metadata={"n": 1})
        got = await client.get_group(**here, group_id=made.id)
        assert (got.name, got.metadata, got.annotations) == ("Others", {"n": 1}, {"a": "b"})
        for number in range(4):
            await client.create_group(**here, name=f"group {number}")
        groups, pages = await walk(
            lambda **more: client.list_groups_page(**here, **more), "groups"
        )
        assert (len(groups), pages) == (5, 3)
        assert await client.list_groups(**here, filter="other") == [got]

        ada = await person(client, project, "ada")
        group = {**here, "group_id": made.id}
        await client.set_group_member(**group, subject=ada)
        await client.set_group_member(**group, subject=ada, role="manager")
        [member] = await client.list_group_members(**group)
        assert (member.subject.id, member.direct_roles) == (ada.id, ["manager"])
        with pytest.raises(ValidationErrorResponse):
            await client.set_group_member(**group, subject=AccessSubject(type="user", id="nobody"))
        with pytest.raises(ValidationErrorResponse):
            await client.set_group_member(**group, subject=AccessSubject(type="agent", id="x"))
        # What has no effect is kept.
        policy = {**here, "resource_type": "project", "resource_id": project}
        subject = AccessSubject(type="group", id=made.id)
        await client.grant_resource_policy(**policy, subject=subject, roles=["developer"])
        granted = await client.get_resource_policy(**policy)
        [roles] = [it.direct_roles for it in granted if it.subject.id == made.id]
        assert roles == ["developer"]
        await client.revoke_resource_policy(**policy, subject=subject)
        await client.delete_group_member(**group, subject_type="user", subject_id=ada.id)
        with pytest.raises(NotFoundError):
            await client.delete_group_member(**group, subject_type="user", subject_id=ada.id)
        # Who leaves the project leaves its groups.
        await client.set_group_member(**group, subject=ada)
        await client.remove_user_from_project(project, ada.id)
        assert (await client.list_group_members_page(**group)).members == []
        await client.delete_group(**group)
        with pytest.raises(RoomException):
            await client.get_group(**group)


async def test_what_somebody_may_do_is_what_they_may_do(platform):
    async with platform.room() as (client, project, room):
        here = {"project_id": project}
        whole = AccessResource(type="project", id=project)
        within = AccessResource(type="room", id=room.id)

        async def has(subject, resource):
            found = await client.get_effective_access(
                **here, subject=subject, resource=resource
            )
            for relation, allowed in found.capabilities.items():
                tested = await client.test_access(
                    **here, subject=subject, resource=resource, relation=relation
                )
                assert tested.allowed == allowed == (relation in found.effective_roles)
            return found.effective_roles

        owner = AccessSubject(type="user", id=(await client.whoami()).id)
        assert await has(owner, whole) == ["member", "room_creator", "developer", "admin"]
        assert await has(owner, within) == ROOM
        ada = await person(client, project, "ada")
        assert (await has(ada, whole), await has(ada, within)) == (["member"], [])
        policy = {**here, "resource_type": "room", "resource_id": room.id, "subject": ada}
        await client.grant_resource_policy(**policy, roles=["developer"])
        assert await has(ada, within) == ROOM[:-1]
        grants = await client.list_access_bindings(**here, subject=ada)
        assert [(one.resource.type, one.direct_roles) for one in grants] == [
            ("project", ["member"]),
            ("room", ["developer"]),
        ]
        bob = await person(client, project, "bob", "developer")
        assert await has(bob, within) == ROOM
        account = await client.create_service_account(project, name="robot")
        robot = AccessSubject(type="service_account", id=account.id)
        assert await has(robot, whole) == []
        await client.grant_resource_policy(
            **here, resource_type="project", resource_id=project, subject=robot, roles=["developer"]
        )
        assert await has(robot, whole) == ["member", "room_creator", "developer"]
        page = await client.list_access_bindings_page(**here, subject=robot)
        assert [one.direct_roles for one in page.access_grants] == [["developer"]]
        with pytest.raises(ValidationErrorResponse):
            await client.test_access(**here, subject=ada, resource=within, relation="can_use")


async def test_a_user_lets_accounts_use_a_secret(platform):
    async with platform.project() as (client, project):
        secret = await client.create_user_secret(project_id=project, name="token", type="opaque")
        account = await client.create_service_account(project, name="robot")
        of = {"secret_id": secret.id, "service_account_id": account.id}
        for _ in range(2):
            await client.grant_user_secret_proxy_access(**of)
        page = await client.list_user_secret_proxy_access(secret_id=secret.id)
        [grant] = page.access_grants
        assert (grant.subject.id, grant.roles) == (account.id, ["use_proxy"])
        await client.revoke_user_secret_proxy_access(**of)
        assert (await client.list_user_secret_proxy_access(secret_id=secret.id)).access_grants == []
        await client.delete_user_secret(secret_id=secret.id)
        key = await client.create_api_key(project, "k", "", account.id)
        # No key here knows the sign-in in which it was made.
        revoked = await client.revoke_api_keys_by_msid(project, account.id, "a sign-in")
        assert revoked.revoked == []
        keys = (await client.list_api_keys(project, account.id)).keys
        assert [one.id for one in keys] == [key.id]
