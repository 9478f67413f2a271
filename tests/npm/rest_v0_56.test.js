// What the account client of TypeScript of the releases around 0.56 asks over REST.
//
// npm has none newer than 0.39.9, which speaks for the releases before. The newer ones are public as
// source, in the repository meshagent/meshagent-ts: 0.47.0, of July 2026, is the one that this was
// written against. It is built in its folder with
//
//     npm install && npx esbuild src/index.ts --bundle --platform=node --outfile=client.js
//
// and MESHAGENT_TEST_TYPESCRIPT names the file that comes out. Without it nothing here runs.

const assert = require("node:assert/strict");
const { test } = require("node:test");

// Before the helper clears the environment.
const built = process.env.MESHAGENT_TEST_TYPESCRIPT;
const { platform, until } = require("./helper.js");

if (!built) {
    test("the TypeScript client near 0.56", { skip: "MESHAGENT_TEST_TYPESCRIPT is not set" });
    return;
}

const { Meshagent } = require(built);

const ACCOUNTS = "OAuth clients belong to the hosted accounts";
const BILLING = "money is the hosted service's";
const FEEDS = "the platform has no feeds";
const MODELS = "the platform has no models";
const REPOSITORIES = "the platform keeps no images";
const SETTINGS = "0.56 keeps settings as documents, which this client does not know";
const RUNS = "the platform runs no managed agents";

/** What of the client is not called, by a part of the method's name, and why. */
const LEFT_OUT = [
    [/OAuthClient/, ACCOUNTS],
    [/Balance|Transactions|Recharge|Checkout|Pricing|Subscription$|getUsage/, BILLING],
    [/Feed/, FEEDS],
    [/LLMLogger/, MODELS],
    [/Repositor/, REPOSITORIES],
    [/connectAgent|AgentSessions|AgentRoutes/, RUNS],
    [/updateProjectSettings/, SETTINGS],
];
// Unlike the Python client, this one sends no header that tells its API.
const server = platform("--dialect", "0.56");

/** The methods of the client that have been called. */
const called = new Set();

/** A client that remembers which of its methods are called. */
function client() {
    const account = new Meshagent({ baseUrl: server.url, token: server.key });
    return new Proxy(account, {
        get(of, name) {
            called.add(name);
            return of[name].bind(account);
        },
    });
}

const bytes = (text) => new TextEncoder().encode(text);

/** A service that runs nowhere. */
function service(name, more = {}) {
    const metadata = { name, annotations: { "meshagent.service.id": name } };
    const external = { url: "http://127.0.0.1:9" };
    return { version: "v1", kind: "Service", metadata, ports: [], external, ...more };
}

test("projects and people", async () => {
    const account = client();
    const projectId = server.project;
    const { projects } = await account.listProjects();
    assert(projects.some(({ id }) => id === projectId));
    const made = await account.createProject("second");
    assert.equal((await account.getProject(made.id)).name, "second");
    await account.addUserToProject(projectId, "ada@x.test", { roles: ["developer"] });
    const ada = async () => {
        const { users } = await account.getUsersInProjectPage(projectId, { email: "ada@x.test" });
        return users[0];
    };
    const { id, directRoles } = await ada();
    assert(directRoles.includes("developer"));
    await account.updateUserInProject(projectId, id, ["room_creator"]);
    assert.deepEqual((await ada()).directRoles, ["member", "room_creator"]);
    assert((await account.getUsersInProject(projectId)).some((it) => it.id === id));
    await account.removeUserFromProject(projectId, id);
    assert.equal(await ada(), undefined);
    const { project_key: key } = await account.getProject(projectId);
    assert.equal((await account.getProjectByKey(key)).id, projectId);
    assert.equal(await account.getStatus(projectId), true);
    await account.updateUserProfile("me", "Ada", "Lovelace");
    assert.equal((await account.getUserProfile("me")).first_name, "Ada");
});

test("service accounts, their keys and the secrets of both owners", async () => {
    const account = client();
    const projectId = server.project;
    const { id } = await account.createServiceAccount(projectId, "ci", { metadata: { n: 1 } });
    const found = await account.listServiceAccounts(projectId, { filter: "ci", view: "all" });
    assert(found.service_accounts.some((it) => it.id === id && it.name === "ci"));
    const key = await account.createApiKey(projectId, id, "first", "for CI");
    assert(key.value);
    const keys = async () => (await account.listApiKeys(projectId, id)).keys.map((it) => it.id);
    assert.deepEqual(await keys(), [key.id]);
    await account.deleteApiKey(projectId, id, key.id);
    assert.deepEqual(await keys(), []);

    const made = await account.createServiceAccountSecret(projectId, id, {
        name: "token",
        type: "opaque",
        annotations: { a: "b" },
    });
    const at = [projectId, id, made.id];
    const first = await account.createServiceAccountSecretVersion(...at, { value: bytes("one") });
    const second = await account.createServiceAccountSecretVersion(...at, { value: bytes("two") });
    assert.deepEqual([first.version, second.version], [1, 2]);
    const versions = await account.listServiceAccountSecretVersions(...at);
    assert.deepEqual(versions.map(({ version }) => version).sort(), [1, 2]);
    const shown = await account.getServiceAccountSecret(...at, { includeValue: true });
    assert.equal(Buffer.from(shown.value_base64, "base64").toString(), "two");
    assert.equal(shown.current_version_id, second.id);
    const hidden = await account.getServiceAccountSecret(...at);
    assert.equal(hidden.value_base64 ?? null, null);
    await account.updateServiceAccountSecret(...at, { annotations: { c: "d" } });
    const { secrets } = await account.searchServiceAccountSecrets(projectId, id, { name: "token" });
    assert.deepEqual(secrets.map((it) => it.annotations), [{ c: "d" }]);
    assert.equal((await account.listServiceAccountSecrets(projectId, id)).secrets.length, 1);
    const pull = await account.createServiceAccountSecret(projectId, id, {
        name: "registry",
        type: "docker",
    });
    const value = JSON.stringify({ server: "r.test", username: "u", password: "p" });
    const input = { value: bytes(value) };
    await account.createServiceAccountSecretVersion(projectId, id, pull.id, input);
    await account.addServiceAccountPullSecret(projectId, id, pull.id);
    const attached = async () => (await account.listServiceAccountPullSecrets(projectId, id)).length;
    assert.equal(await attached(), 1);
    await account.removeServiceAccountPullSecret(projectId, id, pull.id);
    assert.equal(await attached(), 0);
    const again = await account.createApiKey(projectId, id, "second", "");
    const msid = "of-the-second";
    assert.deepEqual((await account.revokeApiKeysByMsid(projectId, id, msid)).revoked, []);
    assert.deepEqual(await keys(), [again.id]);
    await account.deleteServiceAccountSecret(...at);
    await assert.rejects(account.getServiceAccountSecret(...at), /404/);
});

test("secrets of a person", async () => {
    const account = client();
    const projectId = server.project;
    const { id } = await account.createUserSecret({ projectId, name: "mine", type: "opaque" });
    const { version } = await account.createUserSecretVersion(id, { value: bytes("text") });
    assert.equal(version, 1);
    assert.equal((await account.listUserSecretVersions(id)).length, 1);
    const shown = await account.getUserSecret(id, { includeValue: true });
    assert.equal(Buffer.from(shown.value_base64, "base64").toString(), "text");
    await account.updateUserSecret(id, { annotations: { a: "b" } });
    const found = await account.searchUserSecrets({ name: "mine" });
    assert.deepEqual(found.secrets.map((it) => it.annotations), [{ a: "b" }]);
    assert((await account.listUserSecrets()).secrets.some((it) => it.id === id));
    const { id: proxy } = await account.createServiceAccount(projectId, "proxy");
    const grants = async () => (await account.listUserSecretProxyAccess(id)).access_grants;
    await account.grantUserSecretProxyAccess(id, proxy);
    assert.deepEqual((await grants()).map(({ subject }) => subject.id), [proxy]);
    await account.revokeUserSecretProxyAccess(id, proxy);
    assert.deepEqual(await grants(), []);
    await account.deleteUserSecret(id);
    await assert.rejects(account.getUserSecret(id), /404/);
});

test("rooms, groups and what is granted", async () => {
    const account = client();
    const projectId = server.project;
    const room = await account.createRoom({ projectId, name: "demo", annotations: { a: "b" } });
    const again = await account.createRoom({ projectId, name: "demo", ifNotExists: true });
    assert.equal(again.id, room.id);
    await assert.rejects(account.createRoom({ projectId, name: "demo" }), /409/);
    assert.deepEqual((await account.getRoom(projectId, "demo")).annotations, { a: "b" });
    await account.updateRoom(projectId, room.id, "demo", { metadata: { n: 1 } });
    const rooms = await account.listRooms(projectId, { view: "all" });
    assert.deepEqual(rooms.find(({ id }) => id === room.id).metadata, { n: 1 });
    assert.equal((await account.connectRoom(projectId, "demo")).roomName, "demo");

    const at = { resourceType: "room", resourceId: room.id };
    await account.addUserToProject(projectId, "bob@x.test");
    const { users } = await account.getUsersInProjectPage(projectId, { email: "bob@x.test" });
    const subject = { type: "user", id: users[0].id };
    const resource = { type: "room", id: room.id };
    const granted = async () => {
        const policy = await account.getResourcePolicy(projectId, { ...at, pageSize: 1 });
        const own = policy.filter((it) => it.subject.id === subject.id);
        return own.map((it) => it.directRoles);
    };
    await account.grantResourcePolicy(projectId, { ...at, subject, roles: ["viewer"] });
    assert.deepEqual(await granted(), [["viewer"]]);
    const bindings = await account.listAccessBindings(projectId, { subject });
    assert(bindings.some((it) => it.resource.id === room.id));
    const effective = await account.getEffectiveAccess(projectId, { subject, resource });
    assert(effective.effectiveRoles.includes("viewer"));
    const asked = { subject, resource, relation: "viewer" };
    assert.equal((await account.testAccess(projectId, asked)).allowed, true);
    await account.revokeResourcePolicy(projectId, { ...at, subject });
    assert.deepEqual(await granted(), []);
    assert.equal((await account.testAccess(projectId, asked)).allowed, false);

    const group = await account.createGroup({ projectId, name: "crew" });
    await account.updateGroup(projectId, group.id, "team", { metadata: { n: 1 } });
    assert.equal((await account.getGroup(projectId, group.id)).name, "team");
    assert((await account.listGroups(projectId)).some(({ id }) => id === group.id));
    await account.setGroupMember({ projectId, groupId: group.id, subject, role: "manager" });
    const members = await account.listGroupMembers(projectId, group.id);
    assert.deepEqual(members.map((it) => [it.subject.id, it.directRoles]), [[subject.id, ["manager"]]]);
    const member = { subjectType: "user", subjectId: subject.id };
    await account.deleteGroupMember({ projectId, groupId: group.id, ...member });
    await account.deleteGroup(projectId, group.id);
    await account.deleteRoom(projectId, room.id);
    await assert.rejects(account.getRoom(projectId, "demo"), /404/);
});

test("services of both scopes, and agents", async () => {
    const account = client();
    const projectId = server.project;
    const room = await account.createRoom({ projectId, name: "work" });
    const id = await account.createService(projectId, service("global"));
    await account.updateService(projectId, id, service("global", { id, agents: [{ name: "a" }] }));
    assert.equal((await account.getService(projectId, id)).agents[0].name, "a");
    assert((await account.listServices(projectId)).some((it) => it.id === id));
    await account.deleteService(projectId, id);

    const { id: runner } = await account.createServiceAccount(projectId, "runner");
    const { id: secret } = await account.createServiceAccountSecret(projectId, runner, {
        name: "password",
        type: "opaque",
    });
    const input = { value: bytes("v") };
    await account.createServiceAccountSecretVersion(projectId, runner, secret, input);
    const { service_accounts: accounts } = await account.listServiceAccounts(projectId, {
        filter: "runner",
    });
    const { email } = accounts.find((it) => it.id === runner);
    const container = {
        image: "busybox",
        run_as: { email },
        environment: [{ name: "PASSWORD", secret: { id: secret } }],
    };
    const local = service("local", { container, external: undefined });
    const made = await account.createRoomService(projectId, "work", local);
    const kept = await account.getRoomService(projectId, "work", made);
    assert.deepEqual(kept.container.environment[0].secret.id, secret);
    assert.equal(kept.container.run_as.email, email);
    await account.updateRoomService(projectId, "work", made, { ...kept, agents: [{ name: "b" }] });
    const [listed] = await account.listRoomServices(projectId, "work");
    assert.equal(listed.agents[0].name, "b");
    await account.deleteRoomService(projectId, "work", made);

    const configuration = {
        metadata: { name: "helper" },
        allowed_models: [{ provider: "openai", model: "m" }],
        llm_delegation: "optional",
        thread_isolation: "participant",
        toolkits: [],
        tools: [],
    };
    const agent = await account.createAgent({ projectId, configuration });
    const same = await account.createAgent({ projectId, configuration, ifNotExists: true });
    assert.equal(same.id, agent.id);
    await account.deleteRoom(projectId, room.id);
});

test("mailboxes, routes and storage", async () => {
    const account = client();
    const projectId = server.project;
    const room = await account.createRoom({ projectId, name: "post" });
    for (const number of [1, 2, 3]) {
        const address = `a-${number}@mail.meshagent.com`;
        const box = { projectId, address, room: "post", isPublic: true };
        await account.createMailbox({ ...box, queue: "q" });
        await account.updateMailbox({ ...box, queue: "r" });
    }
    // Its lists follow the tokens of pages.
    const boxes = await account.listMailboxes(projectId, { pageSize: 1 });
    assert.deepEqual(boxes.map((it) => [it.room, it.queue]), Array(3).fill(["post", "r"]));
    const one = await account.listMailboxesPage(projectId, { pageSize: 2, filter: "a-2@" });
    assert.deepEqual(one.mailboxes.map((it) => it.roomId), [room.id]);
    for (const { address } of boxes) {
        await account.deleteMailbox(projectId, address);
    }
    assert.deepEqual(await account.listMailboxes(projectId), []);

    const domain = "post.meshagent.app";
    const backend = { room: { name: "post" } };
    const paths = [{ path: "/", pathType: "prefix", targetPort: "80" }];
    const metadata = { name: "post" };
    const spec = { version: "v1", kind: "Route", metadata, domain, backend, paths };
    await account.createRoute({ projectId, spec });
    const changed = { ...spec, paths: [{ ...paths[0], path: "/api", stripPrefix: true }] };
    await account.updateRoute({ projectId, domain, spec: changed });
    assert.equal((await account.getRoute({ projectId, domain })).spec.paths[0].path, "/api");
    assert((await account.listRoutes(projectId, { pageSize: 1 })).some((it) => it.domain === domain));
    const ofRoom = await account.listRoomRoutes({ projectId, roomName: "post" });
    assert.deepEqual(ofRoom.map((it) => it.domain), [domain]);
    await account.deleteRoute({ projectId, domain });

    const api = { messaging: {} };
    const asked = { name: "guest", roomName: "post", role: "user", api };
    assert.match(await account.mintParticipantToken(projectId, asked), /^[\w-]+\.[\w-]+\.[\w-]+$/);
    await account.upload({ projectId, path: "f", data: bytes("text") });
    const loaded = await account.download({ projectId, path: "f" });
    assert.equal(Buffer.from(loaded).toString(), "text");
    await account.deleteRoom(projectId, room.id);
});

test("sessions", async (t) => {
    const account = client();
    const projectId = server.project;
    await account.createRoom({ projectId, name: "hall" });
    assert.deepEqual(await account.listActiveSessions(projectId), []);
    const guest = await server.enter(t, "hall", "guest");
    const [{ id, roomName, isActive }] = await account.listActiveSessions(projectId);
    assert.deepEqual([roomName, isActive], ["hall", true]);
    assert.equal((await account.getSession(projectId, id)).id, id);
    assert(Array.isArray(await account.listSessionEvents(projectId, id)));
    assert.deepEqual(await account.listSessionSpans(projectId, id), []);
    assert.deepEqual(await account.listSessionMetrics(projectId, id), []);
    await account.terminateSession(projectId, id);
    await guest.closed;
    await until(async () => (await account.listActiveSessions(projectId)).length === 0);
    const recent = await account.listRecentSessions(projectId);
    assert(recent.some((it) => it.id === id && !it.isActive));
    const ofRoom = await account.listRecentRoomSessions(projectId, "hall", { limit: 5 });
    assert.deepEqual(ofRoom.map((it) => it.id), [id]);
});

// The tests of a file run one after the other.
test("every method is called, or left out for a reason", () => {
    const asks = async () => {};
    const all = Object.getOwnPropertyNames(Meshagent.prototype).filter(
        (name) => Meshagent.prototype[name].constructor === asks.constructor && name !== "request",
    );
    assert(all.length > 100, "the client has methods");
    // The lists call what reads one page.
    const isCalled = (name) => called.has(name) || called.has(name.replace(/Page$/, ""));
    const isLeftOut = (name) => LEFT_OUT.some(([part]) => part.test(name));
    const missed = all.filter((name) => !isCalled(name) && !isLeftOut(name));
    assert.deepEqual(missed, []);
    const needless = all.filter((name) => called.has(name) && isLeftOut(name));
    assert.deepEqual(needless, []);
});
