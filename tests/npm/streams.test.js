// Calls with streams. `RemoteToolkit` of the package has none, so the host here speaks the protocol
// with the package's own words for it.

const assert = require("node:assert/strict");
const { test } = require("node:test");

const {
    BinaryContent,
    ControlContent,
    EmptyContent,
    ErrorContent,
    JsonContent,
    RemoteToolkit,
    TextContent,
    Tool,
    packMessage,
    unpackContent,
    unpackMessage,
} = require("@meshagent/meshagent");
const { allBytes, newRoom, platform, refused, until, warnings } = require("./helper.js");

const server = platform();

/** A call that a host has got. */
class Call {
    constructor(room, id, header) {
        Object.assign(this, { room, id, header, parts: [] });
    }

    /** Answers it. */
    answer(content) {
        return this.room.protocol.send("room.tool_call_response", content.pack(), this.id);
    }

    /** Sends a part of the answer. */
    send(content) {
        const [chunk, payload] = unpackMessage(content.pack());
        const header = { tool_call_id: this.header.tool_call_id, chunk };
        return this.room.protocol.send("room.tool_call_response_chunk", packMessage(header, payload));
    }
}

/** Offers a toolkit with a tool `run`, whose calls are handled by functions. */
async function host(room, name, { called, part = () => {} }) {
    const calls = [];
    room.protocol.addHandler(`room.tool_call.${name}`, async (_, id, type, data) => {
        const call = new Call(room, id, unpackMessage(data)[0]);
        calls.push(call);
        await called(call);
    });
    room.protocol.addHandler(`room.tool_call_request_chunk.${name}`, async (_, id, type, data) => {
        const [header, payload] = unpackMessage(data);
        const content = unpackContent(packMessage(header.chunk, payload));
        const call = calls.find((it) => it.header.tool_call_id === header.tool_call_id);
        call.parts.push(content);
        await part(call, content);
    });
    const tools = { run: { title: "", description: "" } };
    await room.sendRequest("room.register_toolkit", { name, tools, public: true });
    return calls;
}

const open = new ControlContent({ method: "open" });
const close = new ControlContent({ method: "close" });
const isClose = (content) => content instanceof ControlContent && content.method === "close";

/** Sends each part back, and ends with the input. */
const echo = {
    called: (call) => call.answer(open),
    part: (call, content) => call.send(content),
};

/** A stream of what is given, which then may stay open. */
async function* stream(contents, stays) {
    yield* contents;
    await stays;
}

/** All parts of a stream. */
async function all(contents) {
    const got = [];
    for await (const content of contents) {
        got.push(content);
    }
    return got;
}

async function pair(t) {
    const room = newRoom();
    return [await server.enter(t, room, "ada"), await server.enter(t, room, "bot")];
}

test("a stream goes to its host and comes back", async (t) => {
    const [ada, bot] = await pair(t);
    const calls = await host(bot, "kit", echo);
    const contents = [
        ...Array.from({ length: 40 }, (_, n) => {
            return new BinaryContent({ data: allBytes(n * 500), headers: { n } });
        }),
        new JsonContent({ json: { ü: [null] } }),
        new TextContent({ text: "text" }),
        new EmptyContent(),
        new ErrorContent({ text: "not the end", code: 7 }),
    ];
    const input = stream(contents);
    const got = await all(await ada.invokeStream({ toolkit: "kit", tool: "run", input }));
    assert.equal(got.length, contents.length + 1);
    contents.forEach((content, n) => {
        assert.equal(got[n].constructor, content.constructor);
        assert(Buffer.from(content.pack()).equals(got[n].pack()), String(content));
    });
    assert(isClose(got.at(-1)) && got.at(-1).statusCode === 1000);
    const [{ header }] = calls;
    assert.deepEqual(header.arguments, { type: "control", method: "open" });
    assert.equal(header.caller_id, ada.localParticipant.id);
});

test("streams of several callers do not mix", async (t) => {
    const room = newRoom();
    const bot = await server.enter(t, room, "bot");
    await host(bot, "kit", echo);
    const clients = [await server.enter(t, room, "ada"), await server.enter(t, room, "bob"), bot];
    const runs = clients.flatMap((client, who) =>
        Array.from({ length: 5 }, async (_, n) => {
            const parts = [...Array(10).keys()];
            const contents = parts.map((part) => new JsonContent({ json: [who, n, part] }));
            const input = stream(contents);
            const got = await all(await client.invokeStream({ toolkit: "kit", tool: "run", input }));
            assert.deepEqual(got.slice(0, -1), contents);
        }),
    );
    await Promise.all(runs);
});

test("what a caller says of a call reaches the host as it is", async (t) => {
    const [ada, bot] = await pair(t);
    const answer = (call) => call.answer(new EmptyContent());
    const calls = await host(bot, "kit", { called: answer });
    const call = { toolkit: "kit", tool: "run" };
    const callerContext = { ü: [null, 1] };
    await ada.invoke({ ...call, input: { a: 1 }, onBehalfOfId: "somebody", callerContext });
    await ada.invoke(call);
    const [first, second] = calls.map((it) => it.header);
    assert.deepEqual(
        [first.name, first.arguments, first.on_behalf_of_id, first.caller_context],
        ["run", { type: "json", json: { a: 1 } }, "somebody", callerContext],
    );
    assert.equal(first.caller_id, ada.localParticipant.id);
    assert.deepEqual(second.arguments, { type: "empty" });
    assert.equal(second.caller_context ?? null, null);
    assert.equal(second.on_behalf_of_id ?? null, null);
    assert.notEqual(first.tool_call_id, second.tool_call_id);
});

test("a streamed input may have one answer", async (t) => {
    const [ada, bot] = await pair(t);
    let count = 0;
    await host(bot, "kit", {
        called: () => {},
        part: async (call, content) => {
            count += content.data?.length ?? 0;
            if (isClose(content)) {
                await call.answer(new JsonContent({ json: { count } }));
            }
        },
    });
    const contents = Array.from({ length: 20 }, () => new BinaryContent({ data: allBytes(5000) }));
    const call = { toolkit: "kit", tool: "run" };
    const got = await ada.invokeWithStreamInput({ ...call, input: stream(contents) });
    assert.deepEqual(got.json, { count: 100_000 });
    assert.equal(ada.agents.invokeWithStreamInput, undefined);
    // An answer that is not a stream is none for `invokeStream`.
    const ask = () => ada.invokeStream({ ...call, input: stream([]) });
    await refused(ask, undefined, /^unexpected return type from kit.run$/);
});

test("an answer that is a stream is none for a call that wants one answer", async (t) => {
    const [ada, bot] = await pair(t);
    await host(bot, "kit", echo);
    const ask = () => ada.invokeWithStreamInput({ toolkit: "kit", tool: "run", input: stream([]) });
    await refused(ask, undefined, /^unexpected return type from kit.run$/);
});

test("a host may refuse a stream, or end it early or badly", async (t) => {
    const [ada, bot] = await pair(t);
    const room = { toolkit: "refusing", tool: "run" };
    await host(bot, "refusing", {
        called: (call) => call.answer(new ErrorContent({ text: "not now", code: 1006 })),
    });
    const contents = [new EmptyContent(), new EmptyContent()];
    await refused(() => ada.invokeStream({ ...room, input: stream(contents) }), 1006, /^not now$/);
    await refused(() => ada.invokeWithStreamInput({ ...room, input: stream(contents) }), 1006);
    await host(bot, "early", {
        called: async (call) => {
            await call.answer(open);
            await call.send(new TextContent({ text: "that's it" }));
            await call.send(new ControlContent({ method: "close", statusCode: 1007, message: "bad" }));
        },
    });
    let end;
    const stays = new Promise((resolve) => (end = resolve));
    const input = stream([new EmptyContent()], stays);
    const got = await all(await ada.invokeStream({ toolkit: "early", tool: "run", input }));
    assert.deepEqual(got[0], new TextContent({ text: "that's it" }));
    // A bad end is not an error for the package.
    assert.deepEqual([got[1].method, got[1].statusCode, got[1].message], ["close", 1007, "bad"]);
    // The input ends after the output. That is acknowledged.
    end();
    const sent = ada._sendToolCallRequestChunk.bind(ada);
    await ada.queues.list();
    // A part of a call that never was is not.
    await refused(() => sent("never", new EmptyContent()), 1003);
});

test("a source that fails ends its stream", async (t) => {
    const [ada, bot] = await pair(t);
    const calls = await host(bot, "kit", { called: (call) => call.answer(open) });
    async function* failing() {
        yield new TextContent({ text: "one" });
        throw new Error("the source failed");
    }
    const got = await all(
        await ada.invokeStream({ toolkit: "kit", tool: "run", input: failing() }),
    );
    assert.match(got[0].text, /request stream failed: Error: the source failed/);
    await until(() => calls[0].parts.length === 2);
    assert(isClose(calls[0].parts[1]));
});

test("a stream ends when its host leaves", async (t) => {
    const [ada, bot] = await pair(t);
    await host(bot, "kit", echo);
    let end;
    const stays = new Promise((resolve) => (end = resolve));
    const input = stream([new TextContent({ text: "one" })], stays);
    const contents = await ada.invokeStream({ toolkit: "kit", tool: "run", input });
    const got = [];
    for await (const content of contents) {
        got.push(content);
        if (got.length === 1) {
            bot.dispose();
        }
    }
    assert.deepEqual(got[0], new TextContent({ text: "one" }));
    assert(got[1] instanceof ErrorContent);
    assert.equal(got[1].code, 1008);
    assert.match(got[1].text, /left the room/);
    assert(isClose(got[2]) && got.length === 3);
    end();
    await ada.queues.list();
});

test("a host is told when the caller of a stream leaves", async (t) => {
    const [ada, bot] = await pair(t);
    const calls = await host(bot, "kit", echo);
    const input = stream([new TextContent({ text: "one" })], new Promise(() => {}));
    const contents = await ada.invokeStream({ toolkit: "kit", tool: "run", input });
    await contents[Symbol.asyncIterator]().next();
    ada.dispose();
    await until(() => isClose(calls[0].parts.at(-1) ?? open));
    // What it still sends is for nobody, and harms nobody.
    await calls[0].send(new TextContent({ text: "late" }));
    await calls[0].send(close);
    assert.deepEqual(await bot.queues.list(), []);
});

test("who is no host of a call cannot answer it", async (t) => {
    const room = newRoom();
    const [ada, bot, eve] = [
        await server.enter(t, room, "ada"),
        await server.enter(t, room, "bot"),
        await server.enter(t, room, "eve"),
    ];
    const calls = await host(bot, "kit", { called: () => {} });
    const asked = ada.invoke({ toolkit: "kit", tool: "run" });
    await until(() => calls.length === 1);
    const forged = new Call(eve, calls[0].id, calls[0].header);
    await forged.answer(new TextContent({ text: "forged" }));
    await forged.send(new TextContent({ text: "forged" }));
    await eve.queues.list();
    await calls[0].answer(new TextContent({ text: "true" }));
    // Of two answers, the first counts.
    await calls[0].answer(new TextContent({ text: "second" }));
    assert.equal((await asked).text, "true");
    await bot.queues.list();
    await ada.queues.list();
});

test("a tool of the package refuses a stream", async (t) => {
    const [ada, bot] = await pair(t);
    const tool = new Tool({ name: "run", title: "", description: "" });
    tool.execute = async () => new EmptyContent();
    const about = { name: "kit", title: "", description: "" };
    await new RemoteToolkit({ ...about, room: bot, tools: [tool] }).start({ public_: true });
    const call = { toolkit: "kit", tool: "run" };
    const parts = () => stream([new TextContent({ text: "one" })]);
    for (const name of ["invokeStream", "invokeWithStreamInput"]) {
        const ask = () => ada[name]({ ...call, input: parts() });
        await refused(ask, undefined, /received content type 'control'/);
    }
    // It does not know the parts of streams that reach it, and says so.
    await bot.queues.list();
    assert(warnings.every((it) => it.includes("room.tool_call_request_chunk.kit")), `${warnings}`);
    warnings.length = 0;
});

test("the room's own tools are streamed in the same way", async (t) => {
    const [ada] = await pair(t);
    await ada.storage.upload("a.txt", allBytes(10));
    const start = new BinaryContent({
        data: new Uint8Array(),
        headers: { kind: "start", path: "a.txt", chunk_size: 65_536 },
    });
    const pull = new BinaryContent({ data: new Uint8Array(), headers: { kind: "pull" } });
    const input = stream([start, pull]);
    const call = { toolkit: "storage", tool: "download" };
    const got = await all(await ada.invokeStream({ ...call, input }));
    assert.deepEqual(got.slice(0, 2).map((it) => it.headers.kind), ["start", "data"]);
    assert.deepEqual(Buffer.from(got[1].data), Buffer.from(allBytes(10)));
    assert(isClose(got[2]) && got.length === 3);
    // One that takes a stream takes nothing else, and the other way round.
    await refused(() => ada.invoke({ ...call, input: { path: "a.txt" } }), 1002);
    const list = { toolkit: "queues", tool: "list", input: stream([new EmptyContent()]) };
    await refused(() => ada.invokeStream(list), 1002);
});
