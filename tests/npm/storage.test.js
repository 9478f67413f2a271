// Files of rooms.

const assert = require("node:assert/strict");
const { test } = require("node:test");

const {
    ElementType,
    FileContent,
    MeshSchema,
    RoomServerException,
    deploySchema,
} = require("@meshagent/meshagent");
const { allBytes, bytes, heard, newRoom, platform, refused, text, until } = require("./helper.js");

const server = platform();

/** A room with two participants, and what files each is told of. */
async function pair(t) {
    const room = newRoom();
    const clients = [await server.enter(t, room, "ada"), await server.enter(t, room, "bob")];
    for (const client of clients) {
        client.told = heard(client.storage, "file.updated", "file.deleted");
    }
    return clients;
}

const names = (entries) => entries.map((it) => it.name);

test("files are stored, listed, read and deleted, and everybody is told", async (t) => {
    const [ada, bob] = await pair(t);
    assert.deepEqual(await ada.storage.list(""), []);
    assert.deepEqual(await ada.storage.list(".schemas"), []);
    assert.equal(await ada.storage.exists("a/b.txt"), false);
    assert.equal(await ada.storage.stat("a/b.txt"), null);
    const large = allBytes(300_000);
    const before = Date.now();
    await ada.storage.upload("a/b.txt", bytes("hello"));
    await ada.storage.upload("a/large", large, { mimeType: "x/y" });
    await ada.storage.upload("empty", new Uint8Array());
    const me = ada.localParticipant.id;
    await until(() => ada.told.length === 3 && bob.told.length === 3);
    for (const { told } of [ada, bob]) {
        assert.deepEqual(
            told.map(([name, it]) => [name, it.path, it.participantId]),
            ["a/b.txt", "a/large", "empty"].map((path) => ["file.updated", path, me]),
        );
    }
    for (const [path, name, type, data] of [
        ["a/b.txt", "b.txt", "text/plain", bytes("hello")],
        ["a/large", "large", "x/y", large],
        ["empty", "empty", "application/octet-stream", new Uint8Array()],
    ]) {
        const got = await bob.storage.download(path);
        assert(got instanceof FileContent);
        assert.deepEqual([got.name, got.mimeType], [name, type]);
        assert(Buffer.from(data).equals(got.data), path);
    }
    const listed = await bob.storage.list("");
    assert.deepEqual(
        listed.map((it) => [it.name, it.isFolder, it.size]),
        [["a", true, null], ["empty", false, 0]],
    );
    assert.deepEqual(names(await bob.storage.list("a")), ["b.txt", "large"]);
    const found = await bob.storage.stat("a/b.txt");
    assert.deepEqual([found.name, found.isFolder, found.size], ["b.txt", false, 5]);
    for (const time of [found.createdAt, found.updatedAt]) {
        assert(Math.abs(time.getTime() - before) < 60_000, String(time));
    }
    assert.equal((await bob.storage.stat("a")).isFolder, true);
    assert.equal(await bob.storage.exists("a"), true);
    await refused(() => bob.storage.upload("a/b.txt", bytes("other")), 3005);
    await bob.storage.upload("a/b.txt", bytes("other"), { overwrite: true });
    assert.equal(text((await ada.storage.download("a/b.txt")).data), "other");
    await refused(() => bob.storage.delete("a"), 3002);
    ada.told.length = 0;
    await bob.storage.delete("a", { recursive: true });
    await until(() => ada.told.length === 3);
    assert.deepEqual(
        ada.told.map(([name, it]) => [name, it.path, it.participantId]).sort(),
        ["a", "a/b.txt", "a/large"].map((path) => ["file.deleted", path, bob.localParticipant.id]),
    );
    assert.deepEqual(names(await ada.storage.list("")), ["empty"]);
});

test("what is not there, or no path, is refused", async (t) => {
    const [ada] = await pair(t);
    await refused(() => ada.storage.download("none"), 3001);
    await refused(() => ada.storage.downloadUrl("none"), 3001);
    await refused(() => ada.storage.delete("none"), 3001);
    for (const recursive of [null, true]) {
        await refused(() => ada.storage.delete("", { recursive }), 3004);
    }
    for (const path of ["../x", "a/../../x", "", "/", "a\0b"]) {
        await refused(() => ada.storage.upload(path, bytes("x")), 3004);
    }
    for (const path of ["../x", "a/../../x", "a\0b"]) {
        for (const name of ["download", "downloadUrl", "delete", "list", "stat", "exists"]) {
            await refused(() => ada.storage[name](path), 3004);
        }
    }
    await ada.storage.upload("file", bytes("x"));
    await refused(() => ada.storage.upload("file/below", bytes("x")), 3004);
    await refused(() => ada.storage.download("file/below"), 3001);
    await refused(() => ada.storage.list("file"), 3004);
    assert.equal(await ada.storage.stat("file/below"), null);
    await refused(() => ada.storage.upload("", bytes("x")), 3004);
    await assert.rejects(ada.storage.download(""), RoomServerException);
    // A folder stays when its last file is deleted, and can then be deleted as a file is.
    await ada.storage.upload("folder/x", bytes("x"));
    await ada.storage.delete("folder/x");
    assert.equal((await ada.storage.stat("folder")).isFolder, true);
    await ada.storage.delete("folder");
    assert.deepEqual(names(await ada.storage.list("/")), ["file"]);
});

test("the type of a file follows from its name", async (t) => {
    const [ada, bob] = await pair(t);
    for (const [path, type] of [
        ["a.tar.gz", "application/x-tar"],
        ["b.md", "text/markdown"],
        ["c d/ü.YAML", "application/yaml"],
        ["no-ending", "application/octet-stream"],
    ]) {
        await ada.storage.upload(path, bytes(path));
        const got = await bob.storage.download(path);
        assert.deepEqual([got.mimeType, text(got.data)], [type, path]);
    }
});

/** Parts of bytes as an asynchronous stream. */
async function* parts(data, size) {
    for (let at = 0; at < data.length; at += size) {
        yield data.subarray(at, at + size);
    }
}

test("files are sent and read in parts of any size", async (t) => {
    const [ada, bob] = await pair(t);
    const data = allBytes(50_000);
    for (const [size, chunkSize] of [[1000, 7000], [7000, 1000], [50_000, 1 << 20], [999, 64]]) {
        const path = `${size}-${chunkSize}`;
        if (chunkSize > 64) {
            await ada.storage.uploadStream(path, parts(data, size), { chunkSize });
        } else {
            await ada.storage.uploadStream(path, parts(data, size), { size: data.length });
        }
        const got = [];
        for await (const chunk of await bob.storage.downloadStream(path, { chunkSize: 3000 })) {
            got.push(chunk);
        }
        const [start, ...rest] = got;
        assert.deepEqual([start.headers.kind, start.headers.size], ["start", data.length]);
        assert(rest.every((it) => it.headers.kind === "data" && it.data.length <= 3000));
        assert(Buffer.concat(rest.map((it) => it.data)).equals(Buffer.from(data)), path);
    }
});

test("many files are sent and read at once", async (t) => {
    const [ada, bob] = await pair(t);
    const paths = Array.from({ length: 30 }, (_, n) => `many/${n}`);
    await Promise.all(paths.map((path, n) => ada.storage.upload(path, allBytes(5000 * n))));
    const got = await Promise.all(paths.map((path) => bob.storage.download(path)));
    got.forEach((file, n) => assert(Buffer.from(allBytes(5000 * n)).equals(file.data), `${n}`));
    await until(() => bob.told.length === 30);
    // The package ends its streams behind its answers, and nobody hears if that fails.
    await until(() => [ada, bob].every(({ _pendingRequests: open }) => (open.size ?? Object.keys(open).length) === 0));
});

test("a file that does not come whole is not stored", async (t) => {
    const [ada, bob] = await pair(t);
    async function* failing() {
        yield bytes("half");
        throw new Error("the source failed");
    }
    await assert.rejects(ada.storage.uploadStream("failed", failing(), { size: 100 }));
    await refused(() => ada.storage.uploadStream("short", parts(bytes("x"), 1), { size: 2 }), 1002);
    await refused(() => ada.storage.uploadStream("long", parts(bytes("xyz"), 1), { size: 2 }), 1002);
    // It stays away with the participant that was sending it, too.
    let sent;
    async function* endless() {
        yield bytes("half");
        sent = true;
        await new Promise(() => {});
    }
    // The package ends an upload without an error when the connection is gone.
    const sending = ada.storage.uploadStream("left", endless(), { chunkSize: 4 }).catch(() => {});
    await until(() => sent);
    ada.dispose();
    await Promise.all([sending, ada.closed]);
    await bob.storage.upload("last", bytes("x"));
    await until(() => bob.told.length > 0);
    assert.deepEqual(bob.told.map(([, it]) => it.path), ["last"]);
    assert.deepEqual(names(await bob.storage.list("")), ["last"]);
});

test("a download may be left in the middle", async (t) => {
    const [ada] = await pair(t);
    const data = allBytes(500_000);
    await ada.storage.upload("large", data);
    for (let n = 0; n < 5; n += 1) {
        let count = 0;
        for await (const chunk of await ada.storage.downloadStream("large")) {
            count += chunk.data.length;
            if (count > 100_000) {
                break;
            }
        }
    }
    assert(Buffer.from(data).equals((await ada.storage.download("large")).data));
});

test("a file that is replaced while it is read is read as it was", async (t) => {
    const [ada, bob] = await pair(t);
    const [old, young] = [new Uint8Array(400_000).fill(1), new Uint8Array(10).fill(2)];
    await ada.storage.upload("file", old);
    const got = [];
    for await (const chunk of await bob.storage.downloadStream("file")) {
        if (got.length === 1) {
            await ada.storage.upload("file", young, { overwrite: true });
        }
        got.push(chunk.data);
    }
    assert(Buffer.concat(got).equals(Buffer.from(old)));
    assert.deepEqual(Buffer.from((await bob.storage.download("file")).data), Buffer.from(young));
});

test("a file can be fetched by its address", async (t) => {
    const [ada, bob] = await pair(t);
    await ada.storage.upload("a b/ü.html", bytes("<p>hi"));
    const url = await bob.storage.downloadUrl("a b/ü.html");
    const answer = await fetch(url);
    assert.equal(answer.status, 200);
    assert.equal(await answer.text(), "<p>hi");
    assert.equal(answer.headers.get("content-disposition"), "attachment");
    for (const wrong of [url.replace("until=", "until=9"), url.replace("%20", "%21"), url.split("?")[0]]) {
        assert.notEqual(wrong, url);
        const { status, body } = await fetch(wrong);
        await body?.cancel();
        assert(status >= 400 && status < 500, `${status}`);
    }
    // It is an address of what is there now.
    await ada.storage.delete("a b/ü.html");
    const { status, body } = await fetch(url);
    await body?.cancel();
    assert.equal(status, 404);
});

test("files outlive their room, with the schemas among them", async (t) => {
    const room = newRoom();
    const ada = await server.enter(t, room, "ada");
    const schema = new MeshSchema({
        rootTagName: "note",
        elements: [new ElementType({ tagName: "note", description: "a note", properties: [] })],
    });
    await deploySchema({ room: ada, schema, name: "note" });
    ada.dispose();
    await ada.closed;
    const bob = await server.enter(t, room, "bob");
    assert.deepEqual(names(await bob.storage.list(".schemas")), ["note.json"]);
    const got = await bob.storage.download(".schemas/note.json");
    assert.equal(got.mimeType, "application/json");
    assert.deepEqual(JSON.parse(text(got.data)), JSON.parse(JSON.stringify(schema.toJson())));
});
