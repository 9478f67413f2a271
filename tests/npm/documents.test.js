// Documents that participants of the package edit at once.

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { ChildProperty, ElementType, MeshSchema, ValueProperty } = require("@meshagent/meshagent");
const { bytes, fullScope, newRoom, platform, refused, scope, until } = require("./helper.js");

const server = platform();

const part = (tagName) =>
    new ElementType({
        tagName,
        description: tagName,
        properties: [
            new ValueProperty({ name: "about", type: "string" }),
            new ChildProperty({ name: "parts", childTagNames: ["part", "text"] }),
        ],
    });

const BOOK = new MeshSchema({
    rootTagName: "book",
    elements: [part("book"), part("part"), part("text")],
});

const described = async (room, path) => {
    const answer = await room.invoke({ toolkit: "sync", tool: "describe", input: { path } });
    return answer.json;
};

/** What a client shows of a document. */
function shown(element) {
    const children = element.children ?? [];
    return [element.tagName, element.attributes?.about, children.map(shown)];
}

test("what one writes the others see, and it is kept", async (t) => {
    const room = newRoom();
    const ada = await server.enter(t, room, "ada", { api: fullScope() });
    const bob = await server.enter(t, room, "bob", { api: fullScope() });
    const initialJson = { book: { parts: [{ part: { about: "a", parts: [] } }] } };
    const one = await ada.sync.open("a.book", { create: true, schema: BOOK, initialJson });
    const other = await bob.sync.open("a.book", { create: false });
    const same = () =>
        JSON.stringify(shown(one.root)) === JSON.stringify(shown(other.root)) && shown(one.root);
    await until(() => other.root.children.length === 1, "the first part");
    const added = one.root.createChildElement("part", { about: "é😀" });
    added.createChildElement("part", { about: "inner" });
    await until(() => JSON.stringify(shown(other.root)).includes("inner"), "the change");
    other.root.children[1].setAttribute("about", "changed");
    await until(() => added.getAttribute("about") === "changed", "the other change");
    one.root.children[0].delete();
    await until(() => other.root.children.length === 1 && same(), "the deletion");
    assert.deepEqual(await described(bob, "a.book"), {
        book: { parts: [{ part: { about: "changed", parts: [{ part: { about: "inner", parts: [] } }] } }] },
    });
    await ada.sync.close("a.book");
    await bob.sync.close("a.book");
    const again = await bob.sync.open("a.book", { create: false });
    await until(() => again.root.children.length === 1, "what was kept");
    assert.deepEqual(shown(again.root)[2][0].slice(0, 2), ["part", "changed"]);
});

test("text is edited where it is, whatever it contains", async (t) => {
    const room = newRoom();
    const ada = await server.enter(t, room, "ada", { api: fullScope() });
    const bob = await server.enter(t, room, "bob", { api: fullScope() });
    const one = await ada.sync.open("a.book", { create: true, schema: BOOK });
    const other = await bob.sync.open("a.book", { create: false });
    const text = one.root.createChildElement("text", {}).children[0];
    text.insert(0, "a😀b");
    const mirrored = () => other.root.children[0]?.children[0];
    const read = (node) => (node?.delta ?? []).map(({ insert }) => insert).join("");
    await until(() => read(mirrored()) === "a😀b", "the text");
    // Places are counted in units of UTF-16.
    mirrored().insert(3, "ü");
    await until(() => read(text) === "a😀üb", "what was put in");
    text.delete(0, 1);
    await until(() => read(mirrored()) === "😀üb", "what was taken out");
    const parts = (await described(ada, "a.book")).book.parts[0].text.parts[0].text.delta;
    assert.equal(parts.map(({ insert }) => insert).join(""), "😀üb");
});

test("documents are made, and their names say what they contain", async (t) => {
    const ada = await server.enter(t, newRoom(), "ada", { api: fullScope() });
    await ada.sync.create("a.thread", { thread: { name: "T", properties: [] } });
    assert.deepEqual(await described(ada, "a.thread"), { thread: { name: "T", properties: [] } });
    await refused(() => ada.sync.create("a.thread"), 1004);
    await refused(() => ada.sync.create("a.book"), 1002, /\.schemas\/book\.json/);
    const schema = bytes(JSON.stringify(BOOK.toJson()));
    await ada.storage.upload(".schemas/book.json", schema, { overwrite: true });
    await ada.sync.create("a.book");
    assert.deepEqual(await described(ada, "a.book"), { book: { parts: [] } });
    await refused(() => described(ada, "none.book"), 1003);
});

test("who may only read is told at the first change", async (t) => {
    const room = newRoom();
    const ada = await server.enter(t, room, "ada", { api: fullScope() });
    const only = scope({ sync: { paths: [{ path: "a.*", read_only: true }] } });
    const bob = await server.enter(t, room, "bob", { api: only });
    const one = await ada.sync.open("a.book", { create: true, schema: BOOK });
    const other = await bob.sync.open("a.book", { create: true });
    one.root.createChildElement("part", { about: "a" });
    await until(() => other.root.children.length === 1, "the change");
    other.root.createChildElement("part", { about: "b" });
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.deepEqual((await described(ada, "a.book")).book.parts.length, 1);
    await refused(() => described(bob, "b.book"), 1001);
});
