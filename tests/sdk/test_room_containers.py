"""Containers of rooms, as participants of the public SDK use them. They need an engine, which whoever
runs this names, and its image of busybox."""

import asyncio
import os
import uuid

import pytest
from meshagent.api.participant_token import (
    ApiScope,
    ContainersGrant,
    StorageGrant,
    StoragePathGrant,
)
from meshagent.api.room_server_client import RoomException
from meshagent.api.specs.service import (
    ContainerMountSpec,
    EmptyDirMountSpec,
    FileStorageMountSpec,
    RoomStorageMountSpec,
)

from rooms import entered

IMAGE = os.environ.get("MESHAGENT_TEST_IMAGE")

pytestmark = pytest.mark.skipif(IMAGE is None, reason="no engine runs containers")


def new_room():
    return f"room-{uuid.uuid4().hex[:12]}"


async def refused(call):
    with pytest.raises(RoomException) as error:
        await call
    return error.value


async def written(room, container, follow=True):
    stream = room.containers.logs(container_id=container, follow=follow)
    text = "".join([part async for part in stream.logs()])
    await stream
    return text


async def test_a_container_runs_writes_and_ends(platform):
    async with entered(platform, new_room()) as room:
        containers = room.containers
        assert await containers.list() == []
        started = await containers.run(
            image=IMAGE,
            command="sh -c 'echo a line; echo \"$COLOR\"; exit 3'",
            env={"COLOR": "red = blue\nand more"},
            name="web",
            participant_name="bot",
        )
        assert await containers.wait_for_exit(container_id=started) == 3
        assert await containers.wait_for_exit(container_id=started) == 3
        assert await written(room, started) == "a line\nred = blue\nand more\n"
        assert await containers.list() == []
        [found] = await containers.list(all=True)
        assert (found.id, found.state, found.name) == (started, "EXITED", "web")
        assert found.started_by.name == "ada" and not found.private
        await containers.delete(container_id=started)
        assert await containers.list(all=True) == []
        assert (await refused(containers.delete(container_id=started))).code == 6001


async def test_commands_run_in_a_container(platform):
    async with entered(platform, new_room()) as room:
        containers = room.containers
        started = await containers.run(image=IMAGE, command="sleep 600")
        session = await containers.exec(container_id=started, command=["cat"])
        await session.write(b"in and out")
        await session.write_eof()
        assert await session.result == 0
        assert b"".join([part async for part in session.stdout()]) == b"in and out"
        session = await containers.exec(
            container_id=started, command=["sh", "-c", "echo oh >&2; exit 7"]
        )
        assert await session.result == 7
        assert b"".join([part async for part in session.stderr()]) == b"oh\n"
        session = await containers.exec(container_id=started, command=["sleep", "600"])
        await session.kill()
        assert await asyncio.wait_for(session.result, 30) != 0
        await containers.stop(container_id=started, force=True)
        assert await containers.wait_for_exit(container_id=started) == 137


async def test_what_is_mounted_is_there_and_the_rest_cannot_be_written(platform):
    async with entered(platform, new_room()) as room:
        mounts = ContainerMountSpec(
            room=[RoomStorageMountSpec(path="/room", subpath="site", read_only=False)],
            files=[FileStorageMountSpec(path="/etc/note", text="a text")],
            empty_dirs=[EmptyDirMountSpec(path="/scratch")],
        )
        command = (
            "sh -c 'cat /etc/note; echo x > /room/index; echo y > /scratch/f; touch /no'"
        )
        started = await room.containers.run(
            image=IMAGE, command=command, mounts=mounts
        )
        assert await room.containers.wait_for_exit(container_id=started) == 1
        said = await written(room, started)
        assert said.startswith("a text") and "Read-only file system" in said
        file = await room.storage.download(path="site/index")
        assert file.data == b"x\n"
        odd = ContainerMountSpec(
            room=[RoomStorageMountSpec(path="/room", subpath="../..", read_only=True)]
        )
        run = room.containers.run(image=IMAGE, mounts=odd)
        assert (await refused(run)).code == 3004


async def test_a_scope_says_what_may_be_run_and_mounted(platform):
    name = new_room()
    only = ApiScope(
        containers=ContainersGrant(run=["other/*"], pull=[], use_containers=True),
        storage=StorageGrant(paths=[StoragePathGrant(path="mine", read_only=True)]),
    )
    async with entered(platform, name, api=only) as room:
        assert (await refused(room.containers.run(image=IMAGE))).code == 1001
        assert (await refused(room.containers.pull_image(tag=IMAGE))).code == 1001
    some = ApiScope(
        containers=ContainersGrant(run=[IMAGE]),
        storage=StorageGrant(paths=[StoragePathGrant(path="mine", read_only=True)]),
    )
    async with entered(platform, name, api=some) as room:
        for subpath, read_only in [(None, True), ("mine", False), ("others", True)]:
            mount = RoomStorageMountSpec(
                path="/r", subpath=subpath, read_only=read_only
            )
            run = room.containers.run(
                image=IMAGE, mounts=ContainerMountSpec(room=[mount])
            )
            assert (await refused(run)).code == 1001, (subpath, read_only)
    off = ApiScope(containers=ContainersGrant(use_containers=False))
    async with entered(platform, name, api=off) as room:
        assert (await refused(room.containers.list())).code == 1001


async def test_what_is_private_is_for_who_started_it(platform):
    name = new_room()
    scope = ApiScope(containers=ContainersGrant())
    async with entered(platform, name, name="ada", api=scope) as ada:
        started = await ada.containers.run(
            image=IMAGE, command="sleep 600", private=True
        )
        async with entered(platform, name, name="bob", api=scope) as bob:
            [seen] = await bob.containers.list()
            assert seen.private and seen.started_by.name == "ada"
            for call in [
                bob.containers.stop(container_id=started),
                bob.containers.wait_for_exit(container_id=started),
                bob.containers.delete(container_id=started),
                written(bob, started),
            ]:
                assert (await refused(call)).code == 1001
        await ada.containers.stop(container_id=started, force=True)


async def test_images_are_built_saved_and_loaded_in_jobs(platform):
    async with entered(platform, new_room()) as room:
        containers, tag = room.containers, f"localhost/built-{uuid.uuid4().hex[:8]}:1"
        await room.storage.upload(
            path="src/Dockerfile", data=f"FROM {IMAGE}\nCOPY note /note\n".encode()
        )
        await room.storage.upload(path="src/note", data=b"built here")
        mounts = [
            ContainerMountSpec(
                room=[RoomStorageMountSpec(path="/w", read_only=False)]
            )
        ]
        job = await containers.build(tag=tag, mounts=mounts, context_path="/w/src")
        code = await containers.wait_for_exit(container_id=job)
        assert code == 0, await written(room, job)
        assert any(tag in image.tags for image in await containers.list_images())
        started = await containers.run(image=tag, command="cat /note")
        assert await containers.wait_for_exit(container_id=started) == 0
        assert await written(room, started) == "built here"
        await containers.delete(container_id=started)
        job = await containers.save_image(
            tag=tag, mounts=mounts, archive_path="/w/built.tar"
        )
        assert await containers.wait_for_exit(container_id=job) == 0
        await containers.delete_image(image=tag)
        assert not any(tag in image.tags for image in await containers.list_images())
        job = await containers.load_image(mounts=mounts, archive_path="/w/built.tar")
        code = await containers.wait_for_exit(container_id=job)
        assert code == 0, await written(room, job)
        assert any(tag in image.tags for image in await containers.list_images())
        # What the room did not bring it neither changes nor removes.
        assert (await refused(containers.delete_image(image=IMAGE))).code == 1001
        build = containers.build(tag=IMAGE, mounts=mounts, context_path="/w/src")
        assert (await refused(build)).code == 1004
        await containers.delete_image(image=tag)
