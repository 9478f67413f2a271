// Toolkits that participants of the package offer, and what the others get of them.

const assert = require("node:assert/strict");
const { test } = require("node:test");

const {
    BinaryContent,
    ControlContent,
    EmptyContent,
    ErrorContent,
    FileContent,
    JsonContent,
    LinkContent,
    RemoteToolkit,
    TextContent,
    Tool,
    ToolContentSpec,
} = require("@meshagent/meshagent");
const { allBytes, fullScope, newRoom, platform, refused, scope, until } = require("./helper.js");

const server = platform();

const NUMBERS = {
    type: "object",
    properties: { a: { type: "number" }, b: { type: "number" } },
    required: ["a", "b"],
    additionalProperties: false,
};

class Add extends Tool {
    constructor() {
        super({
            name: "add",
            title: "Add",
            description: "adds two numbers",
            inputSchema: NUMBERS,
            outputSpec: new ToolContentSpec({ types: ["json"] }),
            thumbnailUrl: "https://example.com/add.png",
        });
    }

    async execute({ a, b }) {
        if (a < 0) {
            throw new Error("no negative numbers");
        }
        return new JsonContent({ json: { sum: a + b } });
    }
}

/** A tool that answers with what it is told to. */
class Answer extends Tool {
    constructor(answers) {
        super({ name: "answer", title: "", description: "" });
        this.answers = answers;
    }

    async execute({ which }) {
        return this.answers[which];
    }
}

/** A tool that does not answer before it is told to. */
class Slow extends Tool {
    constructor() {
        super({ name: "slow", title: "", description: "" });
        this.called = new Promise((resolve) => (this.call = resolve));
        this.goes = new Promise((resolve) => (this.go = resolve));
    }

    async execute() {
        this.call();
        await this.goes;
        return new EmptyContent();
    }
}

/** A toolkit of tools. */
function toolkit(room, name, ...tools) {
    return new RemoteToolkit({ name, title: `the ${name}`, description: "some tools", room, tools });
}

const names = async (listed) => (await listed).map((it) => it.name).sort();

test("a toolkit of a participant is listed to the others and called by them", async (t) => {
    const room = newRoom();
    const bot = await server.enter(t, room, "bot", { role: "agent" });
    const ada = await server.enter(t, room, "ada");
    assert.deepEqual(await ada.listToolkits(), []);
    const math = toolkit(bot, "math", new Add());
    await math.start({ public_: true });
    const [listed] = await ada.agents.listToolkits();
    assert.deepEqual(
        [listed.name, listed.title, listed.description, listed.participantId],
        ["math", "the math", "some tools", bot.localParticipant.id],
    );
    const add = listed.getTool("add");
    assert.deepEqual(
        [add.title, add.description, add.thumbnailUrl, add.supportsContext],
        ["Add", "adds two numbers", "https://example.com/add.png", false],
    );
    assert.deepEqual(add.inputSchema, NUMBERS);
    assert.deepEqual([add.inputSpec.types, add.outputSpec.types], [["json"], ["json"]]);
    const ask = (input, more) => ada.invoke({ toolkit: "math", tool: "add", input, ...more });
    assert.deepEqual((await ask({ a: 1, b: 2 })).json, { sum: 3 });
    const host = { participantId: bot.localParticipant.id };
    assert.deepEqual((await ask({ a: 1, b: 2 }, host)).json, { sum: 3 });
    const sums = Array.from({ length: 100 }, (_, n) => ask({ a: n, b: n }));
    assert.deepEqual(
        (await Promise.all(sums)).map((it) => it.json.sum),
        Array.from({ length: 100 }, (_, n) => 2 * n),
    );
    // What a tool throws arrives as its text, without a number.
    await refused(() => ask({ a: -1, b: 0 }), undefined, /^Error: no negative numbers$/);
    await refused(() => ada.invoke({ toolkit: "math", tool: "none", input: {} }), 1003);
    await refused(() => ada.invoke({ toolkit: "none", tool: "add", input: {} }), 1003);
    const elsewhere = { participantId: ada.localParticipant.id };
    await refused(() => ask({ a: 1, b: 2 }, elsewhere), 1003);
    // Who offers it may use it as well.
    const own = await bot.agents.invokeTool({ toolkit: "math", tool: "add", input: { a: 1, b: 1 } });
    assert.deepEqual(own.json, { sum: 2 });
    await math.stop();
    assert.deepEqual(await ada.listToolkits(), []);
    await refused(() => ask({ a: 1, b: 2 }), 1003);
});

test("an answer arrives as what it is", async (t) => {
    const room = newRoom();
    const bot = await server.enter(t, room, "bot", { role: "agent" });
    const ada = await server.enter(t, room, "ada");
    const data = allBytes(100_000);
    const answers = {
        json: new JsonContent({ json: { deep: [{ ü: null }] } }),
        text: new TextContent({ text: "ü\0" }),
        file: new FileContent({ data, name: "a.bin", mimeType: "x/y" }),
        binary: new BinaryContent({ data, headers: { n: 1 } }),
        link: new LinkContent({ name: "a", url: "https://example.com" }),
        empty: new EmptyContent(),
    };
    answers.error = new ErrorContent({ text: "so it is", code: 4711 });
    answers.closed = new ControlContent({ method: "close", statusCode: 1007, message: "wrong" });
    await toolkit(bot, "kit", new Answer(answers)).start({ public_: true });
    const ask = (which) => ada.invoke({ toolkit: "kit", tool: "answer", input: { which } });
    for (const which of ["json", "text", "file", "binary", "link", "empty", "closed"]) {
        const got = await ask(which);
        assert.equal(got.constructor, answers[which].constructor, which);
        assert(Buffer.from(answers[which].pack()).equals(got.pack()), which);
    }
    await refused(() => ask("error"), 4711, /^so it is$/);
    // A tool that gives nothing fails in its host.
    await refused(() => ask("none"), undefined, /TypeError/);
});

test("tools of the package take objects, or nothing", async (t) => {
    const room = newRoom();
    const bot = await server.enter(t, room, "bot", { role: "agent" });
    const ada = await server.enter(t, room, "ada");
    const got = [];
    const tool = new Tool({ name: "keep", title: "", description: "" });
    tool.execute = async (input) => {
        got.push(input);
        return new EmptyContent();
    };
    await toolkit(bot, "kit", tool).start({ public_: true });
    const ask = (input) => ada.invoke({ toolkit: "kit", tool: "keep", input });
    const long = { long: "ü".repeat(50_000) };
    for (const input of [{ a: 1 }, new JsonContent({ json: [1] }), undefined, new EmptyContent(), long]) {
        assert((await ask(input)) instanceof EmptyContent);
    }
    assert.deepEqual(got, [{ a: 1 }, [1], {}, {}, long]);
    for (const input of [
        new TextContent({ text: "x" }),
        new BinaryContent({ data: allBytes(3) }),
        new FileContent({ data: allBytes(3), name: "x", mimeType: "x/y" }),
        new LinkContent({ name: "x", url: "https://example.com" }),
    ]) {
        await refused(() => ask(input), undefined, /requires JSON object input/);
    }
    // The client itself takes no bare text.
    await refused(() => ask("text"), undefined, /must be a content value or JSON object/);
});

test("a private toolkit is there for its participant and who names it", async (t) => {
    const room = newRoom();
    const ada = await server.enter(t, room, "ada");
    const bot = await server.enter(t, room, "bot", { role: "agent" });
    // It is private if nothing is said of it.
    await toolkit(ada, "own", new Add()).start();
    const participantId = ada.localParticipant.id;
    assert.deepEqual(await names(bot.listToolkits()), []);
    assert.deepEqual(await names(ada.listToolkits()), ["own"]);
    assert.deepEqual(await names(bot.listToolkits({ participantId })), ["own"]);
    assert.deepEqual(await names(ada.listToolkits({ participantName: "ada", timeout: 1 })), ["own"]);
    assert.deepEqual(await names(ada.listToolkits({ participantName: "bot" })), []);
    const call = { toolkit: "own", tool: "add", input: { a: 1, b: 1 } };
    await refused(() => bot.invoke(call), 1003);
    assert.deepEqual((await ada.invoke(call)).json, { sum: 2 });
    assert.deepEqual((await bot.invoke({ ...call, participantId })).json, { sum: 2 });
});

test("each participant may offer a toolkit of a name once", async (t) => {
    const room = newRoom();
    const ada = await server.enter(t, room, "ada");
    const bob = await server.enter(t, room, "bob");
    const eve = await server.enter(t, room, "eve");
    const which = (n) => ({ which: new JsonContent({ json: { n } }) });
    await toolkit(ada, "kit", new Answer(which(1))).start({ public_: true });
    await toolkit(bob, "kit", new Answer(which(2))).start({ public_: true });
    const call = { toolkit: "kit", tool: "answer", input: { which: "which" } };
    const of = async (client, it) =>
        (await client.invoke({ ...call, participantId: it?.localParticipant.id })).json.n;
    assert.deepEqual([await of(eve, ada), await of(eve, bob)], [1, 2]);
    assert.deepEqual([await of(ada), await of(eve)], [1, 1]);
    await refused(() => toolkit(bob, "kit", new Add()).start({ public_: true }), 1004);
    // In the package, the refused one has taken the calls of the first.
    await refused(() => of(bob), undefined, /Tool was not found/);
    // The room's own tools are nobody else's.
    const tool = new Tool({ name: "list", title: "", description: "" });
    await refused(() => toolkit(eve, "queues", tool).start({ public_: true }), 1004);
    await refused(() => toolkit(eve, "", new Add()).start(), 1002);
    assert.deepEqual(await eve.queues.list(), []);
    ada.dispose();
    await until(async () => (await eve.listToolkits())[0].participantId === bob.localParticipant.id);
});

test("a call ends when its host leaves", async (t) => {
    const room = newRoom();
    const ada = await server.enter(t, room, "ada");
    const bot = await server.enter(t, room, "bot", { role: "agent" });
    const slow = new Slow();
    await toolkit(bot, "kit", slow).start({ public_: true });
    const call = { toolkit: "kit", tool: "slow" };
    const ended = refused(() => ada.invoke(call), 1008, /left the room/);
    await slow.called;
    bot.dispose();
    await ended;
    assert.deepEqual(await ada.listToolkits(), []);
    await refused(() => ada.invoke(call), 1003);
});

test("a host goes on when a caller leaves, or the toolkit is stopped", async (t) => {
    const room = newRoom();
    const bot = await server.enter(t, room, "bot", { role: "agent" });
    const ada = await server.enter(t, room, "ada");
    const bob = await server.enter(t, room, "bob");
    const slow = new Slow();
    const kit = toolkit(bot, "kit", slow, new Add());
    await kit.start({ public_: true });
    const left = assert.rejects(ada.invoke({ toolkit: "kit", tool: "slow" }), /Disposed/);
    const waiting = bob.invoke({ toolkit: "kit", tool: "slow" });
    await slow.called;
    await bob.queues.list();
    ada.dispose();
    await left;
    const input = { a: 2, b: 2 };
    assert.deepEqual((await bob.invoke({ toolkit: "kit", tool: "add", input })).json, { sum: 4 });
    await kit.stop();
    slow.go();
    assert((await waiting) instanceof EmptyContent);
});

test("who may offer and use toolkits is said by the scope", async (t) => {
    const room = newRoom();
    const bot = await server.enter(t, room, "bot", { role: "agent" });
    for (const name of ["one", "two"]) {
        await toolkit(bot, name, new Add()).start({ public_: true });
    }
    const with_ = (agents) => ({ api: scope({ ...fullScope(), agents }) });
    const input = { a: 1, b: 1 };
    const call = (client, name) => client.invoke({ toolkit: name, tool: "add", input });
    const some = await server.enter(t, room, "some", with_({ allowed_toolkits: ["one"] }));
    assert.deepEqual((await call(some, "one")).json, { sum: 2 });
    await refused(() => call(some, "two"), 1001);
    const none = await server.enter(t, room, "none", with_({ use_tools: false }));
    await refused(() => call(none, "one"), 1001);
    const hidden = await server.enter(t, room, "hid", with_({ register_public_toolkit: false }));
    await refused(() => toolkit(hidden, "kit", new Add()).start({ public_: true }), 1001);
    await toolkit(hidden, "kit", new Add()).start();
    const open = await server.enter(t, room, "open", with_({ register_private_toolkit: false }));
    await refused(() => toolkit(open, "kit", new Add()).start(), 1001);
    await toolkit(open, "kit", new Add()).start({ public_: true });
});

test("the package lists no toolkits as long as one takes bytes", async (t) => {
    // It knows no such type; the toolkit may be called all the same.
    assert.throws(() => new ToolContentSpec({ types: ["binary"] }), /Unsupported/);
    const room = newRoom();
    const bot = await server.enter(t, room, "bot", { role: "agent" });
    const ada = await server.enter(t, room, "ada");
    const tool = new Answer({ which: new EmptyContent() });
    tool.inputSpec = { toJson: () => ({ types: ["binary"], stream: false }) };
    const kit = toolkit(bot, "kit", tool);
    await kit.start({ public_: true });
    await assert.rejects(ada.listToolkits(), /Unsupported tool content type: binary/);
    const input = { which: "which" };
    assert((await ada.invoke({ toolkit: "kit", tool: "answer", input })) instanceof EmptyContent);
    await kit.stop();
    assert.deepEqual(await ada.listToolkits(), []);
});
