"""Volumes of rooms and domains of projects through the public SDK."""

import pytest
from conftest import walk
from meshagent.api.client import ConflictError, NotFoundError, ValidationErrorResponse
from meshagent.api.specs.service import RouteSpec


async def test_a_volume_grows_and_never_shrinks(platform):
    async with platform.room() as (client, project, room):
        here = {"project_id": project, "room": "demo"}
        made = await client.create_room_volume(
            **here, name="data", max_size_mb=10, metadata={"n": 1}, annotations={"a": "b"}
        )
        assert (made.room_id, made.phase, made.max_size_mb) == (room.id, "pending", 10)
        assert await client.list_room_volumes(**here) == [made]
        with pytest.raises(ConflictError):
            await client.create_room_volume(**here, name="data")
        with pytest.raises(ValidationErrorResponse):
            await client.create_room_volume(**here, name="..")
        one = {**here, "volume_id": made.id}
        assert (await client.expand_room_volume(**one, max_size_mb=20)).max_size_mb == 20
        with pytest.raises(ValidationErrorResponse):
            await client.expand_room_volume(**one, max_size_mb=19)
        assert (await client.delete_room_volume(**one)).phase == "deleting"
        with pytest.raises(NotFoundError):
            await client.delete_room_volume(**one)
        # They end with their room.
        await client.create_room_volume(**here, name="data")
        await client.delete_room(project_id=project, room_id=room.id)
        await client.create_room(project_id=project, name="demo")
        assert await client.list_room_volumes(**here) == []


async def test_a_domain_is_of_one_project_and_stays_while_a_route_uses_it(small_pages):
    platform = small_pages
    async with platform.room() as (client, project, _):
        here = {"project_id": project}
        name = f"{project}.example.com"
        made = await client.create_custom_domain(**here, domain=f"*.{name}")
        assert made.wildcard and (made.phase, made.available) == ("pending_dns", False)
        assert await client.get_custom_domain(**here, domain=made.domain) == made
        async with platform.project() as (other, elsewhere):
            with pytest.raises(ConflictError):
                await other.create_custom_domain(project_id=elsewhere, domain=made.domain)
            with pytest.raises(NotFoundError):
                await other.get_custom_domain(project_id=elsewhere, domain=made.domain)
        with pytest.raises(ValidationErrorResponse):
            await client.create_custom_domain(**here, domain="*.*.example.com")
        for number in range(3):
            await client.create_custom_domain(**here, domain=f"{number}.{name}")
        found, pages = await walk(
            lambda **more: client.list_custom_domains(**here, **more), "custom_domains"
        )
        assert (len(found), pages) == (4, 2)
        domain = f"app.{name}"
        spec = {
            "metadata": {"name": domain},
            "domain": domain,
            "backend": {"room": {"name": "demo"}},
            "paths": [{"path": "/", "targetPort": 80}],
        }
        await client.create_route(**here, spec=RouteSpec.model_validate(spec))
        with pytest.raises(ConflictError):
            await client.delete_custom_domain(**here, domain=made.domain)
        await client.delete_route(**here, domain=domain)
        await client.delete_custom_domain(**here, domain=made.domain)
        with pytest.raises(NotFoundError):
            await client.get_custom_domain(**here, domain=made.domain)
