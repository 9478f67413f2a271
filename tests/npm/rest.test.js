// What the account client of the package asks over REST: that of the release which the other tests
// use, and of the newest one that is published. Both send what 0.31 knows, and a client of 0.56 finds
// all of it.
//
// The newest one has secrets, repositories, feeds and loggers of releases between 0.31 and 0.56; no
// platform of either has these. Newer ones are not on npm: see rest_v0_56.test.js.

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { platform } = require("./helper.js");

const PACKAGES = ["@meshagent/meshagent", "meshagent-newest"];

const server = platform();

/** What a client of 0.56 reads below the project. */
async function read(path) {
    const url = `${server.url}/accounts/projects/${server.project}${path}`;
    const headers = { Authorization: `Bearer ${server.key}`, Consistency: "high" };
    const answer = await fetch(url, { headers });
    assert.equal(answer.status, 200, path);
    return answer.json();
}

/** A service that runs nowhere. */
function service(name) {
    return {
        version: "v1",
        kind: "Service",
        metadata: { name, annotations: { "meshagent.service.id": name } },
        ports: [],
        external: { url: "http://127.0.0.1:9" },
    };
}

for (const [number, name] of PACKAGES.entries()) {
    const { ApiScope, Meshagent } = require(name);
    const client = () => new Meshagent({ baseUrl: server.url, token: server.key });
    const room = `demo-${number}`;

    test(`${name}: projects, people and keys`, async () => {
        const account = client();
        const { projects } = await account.listProjects();
        assert(projects.some(({ id }) => id === server.project));
        const made = await account.createProject(`project ${number}`);
        assert.equal((await account.getProject(made.id)).name, `project ${number}`);
        assert.equal(await account.getProjectRole(server.project), "admin");
        assert.equal(await account.getStatus(server.project), true);
        await account.addUserToProject(server.project, `ada-${number}@x.test`, {
            isDeveloper: true,
        });
        const users = async () => (await account.getUsersInProject(server.project)).users;
        assert((await users()).some(({ id, email }) => `${id} ${email}`.includes(`ada-${number}`)));
        const ada = (await users()).find((it) => `${it.id} ${it.email}`.includes(`ada-${number}`));
        assert((await read("/users")).users.some(({ user }) => user.id === ada.id));
        await account.removeUserFromProject(server.project, ada.id);
        await account.updateUserProfile("me", "Ada", "Lovelace");
        assert.equal((await account.getUserProfile("me")).first_name, "Ada");
        const key = await account.createApiKey(server.project, "ci", "for CI");
        assert.match(key.value, /^ma-/);
        const { keys } = await account.listApiKeys(server.project);
        assert(keys.some(({ id }) => id === key.id));
        await account.deleteApiKey(server.project, key.id);
    });

    test(`${name}: rooms and what is granted in them`, async () => {
        const account = client();
        const projectId = server.project;
        const made = await account.createRoom({ projectId, name: room, annotations: { a: "b" } });
        const again = await account.createRoom({ projectId, name: room, ifNotExists: true });
        assert.equal(again.id, made.id);
        await assert.rejects(account.createRoom({ projectId, name: room }), /409/);
        assert.deepEqual((await account.getRoom(projectId, room)).annotations, { a: "b" });
        await account.updateRoom(projectId, made.id, room, { metadata: { n: 1 } });
        const found = (await account.listRooms(projectId)).find(({ id }) => id === made.id);
        assert.deepEqual(found.metadata, { n: 1 });
        assert.deepEqual((await read(`/rooms/${room}`)).metadata, { n: 1 });
        const entering = await account.connectRoom(projectId, room);
        assert.equal(entering.roomName, room);
        await account.addUserToProject(projectId, `bob-${number}@x.test`);
        const { users } = await account.getUsersInProject(projectId);
        const { id: userId } = users.find((it) => `${it.id} ${it.email}`.includes(`bob-${number}`));
        const permissions = new ApiScope({});
        await account.createRoomGrant({ projectId, roomId: made.id, userId, permissions });
        await account.updateRoomGrant({ projectId, roomId: made.id, userId, permissions });
        assert.equal((await account.listRoomGrantsByRoom(projectId, room)).length, 1);
        assert.equal((await account.listRoomGrantsByUser(projectId, userId)).length, 1);
        assert.equal((await account.getRoomGrant(projectId, made.id, userId)).room.id, made.id);
        const policy = await read(`/iam/room/${made.id}/policy`);
        assert.deepEqual(policy.access_grants[0].direct_roles, ["operator"]);
        await account.deleteRoomGrant(projectId, made.id, userId);
        await account.deleteRoom(projectId, made.id);
        await assert.rejects(account.getRoom(projectId, room), /404/);
    });

    test(`${name}: services of both scopes`, async () => {
        const account = client();
        const projectId = server.project;
        const made = await account.createRoom({ projectId, name: room });
        const id = await account.createService(projectId, service(`global-${number}`));
        const changed = { ...service(`global-${number}`), id, agents: [{ name: "a" }] };
        await account.updateService(projectId, id, changed);
        assert.equal((await account.getService(projectId, id)).agents[0].name, "a");
        assert((await account.listServices(projectId)).some((it) => it.id === id));
        assert.equal((await read(`/services/by-name/global-${number}`)).id, id);
        await account.deleteService(projectId, id);
        const local = await account.createRoomService(projectId, room, service("local"));
        const local2 = { ...service("local"), id: local, agents: [{ name: "b" }] };
        await account.updateRoomService(projectId, room, local, local2);
        assert.equal((await account.getRoomService(projectId, room, local)).agents[0].name, "b");
        assert.equal((await account.listRoomServices(projectId, room)).length, 1);
        assert.equal((await read(`/rooms/${room}/services/by-name/local`)).agents[0].name, "b");
        await account.deleteRoomService(projectId, room, local);
        await account.deleteRoom(projectId, made.id);
    });

    test(`${name}: mailboxes, webhooks, sessions and storage`, async () => {
        const account = client();
        const projectId = server.project;
        const made = await account.createRoom({ projectId, name: room });
        const address = `a-${number}@mail.meshagent.com`;
        await account.createMailbox({ projectId, address, room, queue: "q", isPublic: true });
        await account.updateMailbox({ projectId, address, room, queue: "r", isPublic: true });
        const found = (await account.listMailboxes(projectId)).find((it) => it.address === address);
        assert.deepEqual([found.room, found.queue], [room, "r"]);
        assert.equal((await read(`/mailboxes/${address}`)).mailbox.public, true);
        await account.deleteMailbox(projectId, address);
        const hook = { name: "w", url: "http://127.0.0.1:9", events: ["room.started"] };
        const { id } = await account.createWebhook(projectId, hook);
        await account.updateWebhook(projectId, id, { ...hook, name: "v" });
        const { webhooks } = await account.listWebhooks(projectId);
        assert(webhooks.some((it) => it.id === id && it.name === "v"));
        await account.deleteWebhook(projectId, id);
        assert.deepEqual(await account.listActiveSessions(projectId), []);
        assert(Array.isArray(await account.listRecentSessions(projectId)));
        const data = new TextEncoder().encode("text");
        await account.upload({ projectId, path: `f-${number}`, data });
        const loaded = await account.download({ projectId, path: `f-${number}` });
        assert.deepEqual(Buffer.from(loaded).toString(), "text");
        await account.deleteRoom(projectId, made.id);
    });
}
