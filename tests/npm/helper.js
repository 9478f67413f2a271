// A running platform, and participants of the public package in its rooms.
//
// NODE_PATH names the folder that has the package.

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const fs = require("node:fs");
const http = require("node:http");
const os = require("node:os");
const path = require("node:path");
const readline = require("node:readline");
const { after, before } = require("node:test");

const {
    ApiScope,
    ParticipantToken,
    RoomClient,
    RoomServerException,
    WebSocketClientProtocol,
    websocketRoomUrl,
} = require("@meshagent/meshagent");

// How long a server may take to start, anything in a room to happen, and all tests of a file to run,
// in milliseconds.
const STARTUP = 60_000;
const PATIENCE = 30_000;
const ALL = 120_000;

// The last thing that the server prints.
const LAST = "MESHAGENT_SECRET";

// It complains about tokens without a scope, which are meant to be so, and about another release of
// it beside it.
const OWN = /No API grant found|Yjs was already imported/;

const program = process.env.MESHAGENT_BIN;
assert(program, "MESHAGENT_BIN must name the program under test");
// The machine's own settings must not reach a client.
for (const name of Object.keys(process.env)) {
    if (name.startsWith("MESHAGENT_")) {
        delete process.env[name];
    }
}

// The package prints every answer that it gets.
console.log = () => {};

// What the package complains about, such as messages that it does not know.
const warnings = [];
console.warn = (...words) => {
    const line = words.map(String).join(" ");
    if (!OWN.test(line)) {
        warnings.push(line);
    }
};
console.error = console.warn;

/** Starts a server for the tests of a file, with more options, and gives its environment. */
function platform(...more) {
    const running = {};
    before(async () => {
        running.folder = fs.mkdtempSync(path.join(os.tmpdir(), "meshagent-npm-"));
        const data = path.join(running.folder, "data");
        const words = ["server", "--listen", "127.0.0.1:0", "--data", data, "--print-env", "--all"];
        words.push(...more);
        // None of the machine's engines runs containers of tests.
        const env = { ...process.env, CONTAINER_HOST: "unix:///nonexistent/engine.sock" };
        running.server = spawn(program, words, { env, stdio: ["ignore", "pipe", "inherit"] });
        running.ended = once(running.server, "exit");
        // The server ends with the tests, however they end.
        process.on("exit", () => running.server.kill("SIGKILL"));
        setTimeout(() => {
            process.stderr.write("the tests take too long\n");
            process.exit(1);
        }, ALL).unref();
        const watchdog = setTimeout(() => running.server.kill("SIGKILL"), STARTUP);
        for await (const line of readline.createInterface({ input: running.server.stdout })) {
            const [, name, value] = /^export (\w+)='(.*)'$/.exec(line) ?? assert.fail("no export");
            running[name] = value;
            if (name === LAST) {
                break;
            }
        }
        clearTimeout(watchdog);
        assert(LAST in running, "the server did not start");
        // What else it prints is not looked at, but must not fill its pipe.
        running.server.stdout.resume();
    });
    after(async () => {
        running.server.kill("SIGTERM");
        const [code] = await running.ended;
        fs.rmSync(running.folder, { recursive: true, force: true });
        assert.equal(code, 0, "the server ends well on SIGTERM");
        assert.deepEqual(warnings, [], "the package has nothing to complain about");
    });
    return new Platform(running);
}

class Platform {
    constructor(running) {
        this.running = running;
    }

    get url() {
        return this.running.MESHAGENT_API_URL;
    }

    get key() {
        return this.running.MESHAGENT_API_KEY;
    }

    get project() {
        return this.running.MESHAGENT_PROJECT_ID;
    }

    get secret() {
        return this.running.MESHAGENT_SECRET;
    }

    /** A token that is signed with the owner's secret. */
    async signed(room, name, { role, api = fullScope(), secret, expiration } = {}) {
        const token = new ParticipantToken({
            name,
            projectId: this.project,
            apiKeyId: this.running.MESHAGENT_KEY_ID,
            version: "0.35.8",
        });
        token.addRoomGrant(room);
        if (role !== undefined) {
            token.addRoleGrant(role);
        }
        if (api !== null) {
            token.addApiGrant(api);
        }
        return token.toJwt({ token: secret ?? this.secret, expiration });
    }

    /** A participant that is in the room until the test ends. */
    async enter(t, room, name, grants = {}) {
        const url = websocketRoomUrl({ roomName: room, apiUrl: this.url });
        const token = grants.token ?? (await this.signed(room, name, grants));
        return enter(t, new WebSocketClientProtocol({ url, token }));
    }
}

/** Enters a room. It fails if the server does not let the participant in. */
async function enter(t, protocol) {
    const client = new RoomClient({ protocol });
    const dispose = client.dispose.bind(client);
    client.dispose = () => {
        dispose();
        // What still arrives until the connection is closed is for nobody.
        client.protocol.handlers = { "*": () => {} };
    };
    t.after(() => client.dispose());
    await new Promise((resolve, reject) => {
        client.closed = new Promise((closed) => {
            const onDone = () => {
                reject(new Error("the connection was closed"));
                closed();
            };
            const onError = (event) => reject(new Error(event.message));
            client.start({ onDone, onError }).then(resolve, reject);
        });
    });
    assert(client.localParticipant.id, "a participant knows itself once it is in the room");
    return client;
}

/**
 * An agent that is called to rooms by HTTP, and what it does in each. It stays there until the test
 * ends. The calls are kept in a list, with the rooms that were entered.
 */
async function agentServer(t, work, calls = []) {
    const server = http.createServer(async (request, response) => {
        const parts = [];
        for await (const part of request) {
            parts.push(part);
        }
        const { event, data } = JSON.parse(Buffer.concat(parts).toString());
        calls.push({ event, data, headers: request.headers, path: request.url });
        if (request.url === "/none") {
            response.writeHead(404).end();
            return;
        }
        try {
            const { room_url: url, token } = data;
            const room = await enter(t, new WebSocketClientProtocol({ url, token }));
            calls.at(-1).room = room;
            await work(room, data);
            response.writeHead(200).end();
        } catch (error) {
            response.writeHead(500).end(String(error));
        }
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => {
        server.close();
        server.closeAllConnections();
    });
    return `http://127.0.0.1:${server.address().port}`;
}

/** Every right. The package's own `full` has no section for services. */
function fullScope() {
    return scope({ ...ApiScope.full(), services: {} });
}

/** A scope with these sections, as they are spelled on the wire. */
function scope(sections) {
    return Object.assign(new ApiScope(), sections);
}

let rooms = 0;

/** A name that no other test uses. */
function newRoom() {
    rooms += 1;
    return `room-${process.pid}-${rooms}`;
}

/** Waits until a condition holds, which may be a promise. */
async function until(condition, what = "what was waited for") {
    const limit = Date.now() + PATIENCE;
    for (;;) {
        const found = await condition();
        if (found) {
            return found;
        }
        assert(Date.now() < limit, `${what} did not happen`);
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
}

/** Asks, and checks that it is refused with this number. */
async function refused(ask, code, text) {
    const error = await ask().then(
        () => assert.fail("it was not refused"),
        (error) => error,
    );
    assert(error instanceof RoomServerException, String(error));
    assert.equal(error.code, code, error.message);
    if (text !== undefined) {
        assert.match(error.message, text);
    }
    return error;
}

/** Collects what an emitter tells. */
function heard(emitter, ...names) {
    const events = [];
    for (const name of names) {
        emitter.on(name, (event) => events.push([name, event]));
    }
    return events;
}

/** The bytes of a text. */
const bytes = (text) => new TextEncoder().encode(text);

/** The text of bytes. */
const text = (bytes) => new TextDecoder().decode(bytes);

/** Bytes of every value. */
const allBytes = (length) => Uint8Array.from({ length }, (_, index) => index * 7);

module.exports = {
    agentServer,
    allBytes,
    bytes,
    enter,
    fullScope,
    heard,
    newRoom,
    platform,
    refused,
    scope,
    text,
    until,
    warnings,
};
