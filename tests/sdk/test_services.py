"""Services of projects and rooms, plain and from templates."""

import json
import re

import pytest
from documents import TEMPLATE, external_service, full_service, minimal_service
from meshagent.api.client import (
    ConflictError,
    KeysSecret,
    NotFoundError,
    PullSecret,
    ValidationErrorResponse,
)
from meshagent.api.specs.service import ServiceSpec, ServiceTemplateSpec
from pydantic_yaml import parse_yaml_raw_as

VALUES = {"name": "süß", "flag": "x"}


async def secrets(client, project):
    keys = await client.create_secret(
        project_id=project, secret=KeysSecret(id="", name="keys", data={"A": "1"})
    )
    pull = await client.create_secret(
        project_id=project,
        secret=PullSecret(id="", name="pull", server="s", username="u", password="p"),
    )
    return keys, pull


class Project:
    """The calls for services of a whole project."""

    def __init__(self, client, project):
        self.client, self.where = client, {"project_id": project}

    async def create(self, service):
        return (await self.client.create_service(**self.where, service=service)).id

    async def place(self, **template):
        return await self.client.create_service_from_template(**self.where, **template)

    async def update(self, id, service):
        await self.client.update_service(
            **self.where, service_id=id, service=service.model_copy(update={"id": id})
        )

    async def replace(self, id, **template):
        return await self.client.update_service_from_template(
            **self.where, service_id=id, **template
        )

    async def get(self, id):
        return await self.client.get_service(**self.where, service_id=id)

    async def list(self):
        return await self.client.list_services(**self.where)

    async def delete(self, id):
        await self.client.delete_service(**self.where, service_id=id)


class Room(Project):
    """The calls for services of one room."""

    def __init__(self, client, project, room="demo"):
        super().__init__(client, project)
        self.where["room_name"] = room

    async def create(self, service):
        return await self.client.create_room_service(**self.where, service=service)

    async def place(self, **template):
        return await self.client.create_room_service_from_template(
            **self.where, **template
        )

    async def update(self, id, service):
        await self.client.update_room_service(
            **self.where, service_id=id, service=service
        )

    async def replace(self, id, **template):
        return await self.client.update_room_service_from_template(
            **self.where, service_id=id, **template
        )

    async def get(self, id):
        return await self.client.get_room_service(**self.where, service_id=id)

    async def list(self):
        return await self.client.list_room_services(**self.where)

    async def delete(self, id):
        await self.client.delete_room_service(**self.where, service_id=id)


SCOPES = pytest.mark.parametrize("scope", [Project, Room])


def plain(service, **changes):
    return {**service.model_dump(mode="json"), **changes}


@SCOPES
async def test_a_service_lives_its_life(platform, scope):
    async with platform.room() as (client, project, _):
        services = scope(client, project)
        keys, pull = await secrets(client, project)
        wanted = full_service(keys, pull)
        id = await services.create(wanted)
        assert plain(await services.get(id)) == plain(wanted, id=id)
        assert [plain(one) for one in await services.list()] == [plain(wanted, id=id)]
        smaller = minimal_service("other name")
        await services.update(id, smaller)
        assert plain(await services.get(id)) == plain(smaller, id=id)
        outside = await services.create(external_service())
        assert plain(await services.get(outside)) == plain(
            external_service(), id=outside
        )
        await services.delete(id)
        assert [one.id for one in await services.list()] == [outside]
        for call in (services.get(id), services.delete(id), services.update(id, smaller)):
            with pytest.raises(NotFoundError):
                await call


@SCOPES
async def test_a_template_becomes_a_service(platform, scope):
    async with platform.room() as (client, project, _):
        services = scope(client, project)
        placed = await services.place(template=TEMPLATE, values=VALUES)
        expected = ServiceTemplateSpec.from_yaml(TEMPLATE, VALUES).to_service_spec()
        assert plain(placed) == plain(expected, id=placed.id)
        assert plain(await services.get(placed.id)) == plain(placed)
        annotations = placed.metadata.annotations
        assert annotations["meshagent.service.template.yaml"] == TEMPLATE
        assert json.loads(annotations["meshagent.service.template.values"]) == VALUES
        values = {"name": "renamed"}
        replaced = await services.replace(placed.id, template=TEMPLATE, values=values)
        expected = ServiceTemplateSpec.from_yaml(TEMPLATE, values).to_service_spec()
        assert plain(replaced) == plain(expected, id=placed.id)
        assert plain(await services.get(placed.id)) == plain(replaced)


@SCOPES
async def test_what_is_wrong_with_a_service_has_its_class(platform, scope):
    async with platform.room() as (client, project, _):
        services = scope(client, project)
        id = await services.create(minimal_service("one"))
        with pytest.raises(ConflictError):
            await services.create(minimal_service("one"))
        other = await services.create(minimal_service("two"))
        with pytest.raises(ConflictError):
            await services.update(other, minimal_service("one"))
        for wrong in (
            minimal_service(""),
            minimal_service("both", external={"url": "https://x.test"}),
            minimal_service("neither", container=None),
            minimal_service("refers", container={"image": "i", "secrets": ["none"]}),
            minimal_service("refers", container={"image": "i", "pull_secret": "none"}),
        ):
            with pytest.raises(ValidationErrorResponse):
                await services.create(wrong)
        for template, values in (
            ("{% if %}", {}),
            ("{{ missing.attribute }}", {}),
            ("kind: Service", {}),
            (TEMPLATE.replace("image:", "nope:"), VALUES),
            (TEMPLATE.replace('  image: "image:{SERVER_VERSION}"\n', ""), VALUES),
            (TEMPLATE.replace("!template", "!other"), VALUES),
        ):
            with pytest.raises(ValidationErrorResponse):
                await services.place(template=template, values=values)
        assert sorted(one.id for one in await services.list()) == sorted([id, other])


async def test_rooms_and_projects_keep_their_services_apart(platform):
    async with platform.room() as (client, project, _):
        await client.create_room(project_id=project, name="another")
        scopes = [
            Project(client, project),
            Room(client, project),
            Room(client, project, "another"),
        ]
        ids = [await scope.create(minimal_service("same name")) for scope in scopes]
        for scope, id in zip(scopes, ids):
            assert [one.id for one in await scope.list()] == [id]
            for other in ids:
                if other != id:
                    with pytest.raises(NotFoundError):
                        await scope.get(other)
        with pytest.raises(NotFoundError):
            await Room(client, project, "none").list()


async def test_many_services_are_listed_whole(platform):
    async with platform.project() as (client, project):
        services = Project(client, project)
        ids = {await services.create(minimal_service(f"s{n}")) for n in range(120)}
        assert {one.id for one in await services.list()} == ids


async def test_a_template_is_rendered_alone(platform):
    async with platform.client() as client:
        rendered = await client.render_template(template=TEMPLATE, values=VALUES)
        expected = ServiceTemplateSpec.from_yaml(TEMPLATE, VALUES)
        assert rendered.model_dump(mode="json") == expected.model_dump(mode="json")
        # Without values a placeholder is empty, and a template must survive that.
        named = TEMPLATE.replace("{{ name", "x{{ name")
        empty = await client.render_template(template=named, values={})
        assert (empty.metadata.name, empty.agents[0].name) == ("x", "x")
        with pytest.raises(ValidationErrorResponse):
            await client.render_template(template="{{", values={})


async def test_published_documents_survive_the_round_trip(platform, corpus):
    seen = 0
    async with platform.room() as (client, project, _):
        keys, pull = await secrets(client, project)
        services = Room(client, project)
        for path in corpus:
            # One has signs in the place of what its reader fills in.
            source = re.sub(r"<([A-Z]+)>", lambda sign: sign[1].lower(), path.read_text())
            if "kind: ServiceTemplate" in source:
                placed = await services.place(template=source, values={})
                expected = ServiceTemplateSpec.from_yaml(source, {}).to_service_spec()
            elif "kind: Service\n" in source:
                expected = parse_yaml_raw_as(ServiceSpec, source)
                if expected.container is not None:
                    # The examples name secrets that only their readers have.
                    if expected.container.secrets:
                        expected.container.secrets = [keys]
                    if expected.container.pull_secret:
                        expected.container.pull_secret = pull
                placed = await services.get(await services.create(expected))
            else:
                continue
            assert plain(placed) == plain(expected, id=placed.id), path
            await services.delete(placed.id)
            seen += 1
    assert seen >= (40 if corpus.is_whole else 28)
