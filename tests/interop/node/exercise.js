// exercise.js SOCKET PROTO_DIR...: every case against grpc_test_server, by @grpc/grpc-js; a line for each, "ok NAME" or
// "FAIL NAME why". The same cases stand in ../python and ../go_grpc.
"use strict";

const assert = require("node:assert/strict");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [path, ...protoDirs] = process.argv.slice(2);
const LARGEST = 4 << 20;
// Of tags and lengths around a payload that fills the largest message.
const ENVELOPE = 10;
const UNICODE = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";

const files = ["grpc/testing/test.proto", "flocks/testing/v1/mirror.proto", "flocks/ttrpc/v1/ttrpc.proto"];
const options = { keepCase: true, longs: Number, enums: String, defaults: true, includeDirs: protoDirs };
const definition = loader.loadSync(files, options);
const { grpc: { testing }, flocks } = grpc.loadPackageDefinition(definition);
const { MirrorService } = flocks.testing.v1;

const soon = (ms = 30000) => ({ deadline: Date.now() + ms });
const payload = (size) => ({ body: Buffer.alloc(size) });
const sized = (sizes, interval_us = 0) => sizes.map((size) => ({ size, interval_us }));
const until = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

/** One connection. Unary calls of the test service and of the mirror are promises. */
class World {
  constructor(extra = {}) {
    // A pool of its own: otherwise clients of one address share a connection.
    const channel = { "grpc.use_local_subchannel_pool": 1, ...extra };
    this.test = new testing.TestService(`unix:${path}`, grpc.credentials.createInsecure(), channel);
    this.mirror = new MirrorService(`unix:${path}`, grpc.credentials.createInsecure(), {
      channelOverride: this.test.getChannel(),
    });
  }

  /** {response, headers, status}; rejects with the error. */
  call(stub, method, request, metadata = new grpc.Metadata(), options = soon(), started = () => {}) {
    return new Promise((resolve, reject) => {
      const done = {};
      let waits = 2;
      const part = () => --waits === 0 && resolve(done);
      const call = stub[method](request, metadata, options, (error, response) => {
        if (error) return reject(error);
        done.response = response;
        part();
      });
      call.on("metadata", (headers) => (done.headers = headers));
      call.on("status", (status) => {
        done.status = status;
        if (status.code === grpc.status.OK) part();
      });
      started(call);
    });
  }

  async observe(until_ended = 0) {
    return (await this.call(this.mirror, "Observe", { until_ended })).response;
  }

  /** One more call than before has ended: the server's counts then. */
  async ended(before) {
    const after = await this.observe(before.ended + 1);
    assert.equal(after.ended, before.ended + 1);
    assert.equal(after.begun, after.ended);
    return after;
  }
}

/** The error that the promise ends with. */
async function fails(code, promise) {
  const error = await promise.then(() => assert.fail(`no ${grpc.status[code]}`), (reason) => reason);
  assert.equal(error.code, code, String(error));
  return error;
}

/** What a stream brings; rejects with its error. */
function collect(stream) {
  return new Promise((resolve, reject) => {
    const responses = [];
    stream.on("data", (response) => responses.push(response));
    stream.on("end", () => resolve(responses));
    stream.on("error", reject);
  });
}

/** Without this, the error of a call that is cancelled ends the program. */
const quiet = (call) => call.on("error", () => {});
const sizesOf = (responses) => responses.map((response) => response.payload.body.length);

/** A call of StreamingInputCall: the stream to write to, and its answer. */
function upload(world) {
  let stream;
  const answer = new Promise((resolve, reject) => {
    const answered = (error, response) => (error ? reject(error) : resolve(response));
    stream = world.test.StreamingInputCall(new grpc.Metadata(), soon(), answered);
  });
  return { stream, answer };
}

const cases = {
  // ---- four kinds ----

  async empty_unary(world) {
    assert.deepEqual((await world.call(world.test, "EmptyCall", {})).response, {});
  },

  async large_unary(world) {
    const request = { response_size: 314159, payload: payload(271828) };
    const { response } = await world.call(world.test, "UnaryCall", request);
    assert.ok(response.payload.body.equals(Buffer.alloc(314159)));
  },

  async cacheable_unary(world) {
    const { response, headers } = await world.call(world.test, "CacheableUnaryCall", {});
    assert.match(response.payload.body.toString(), /^[0-9]+$/);
    assert.deepEqual(headers.get("cache-control"), ["max-age=60, public"]);
  },

  async client_streaming(world) {
    const { stream, answer } = upload(world);
    for (const size of [27182, 8, 1828, 45904]) stream.write({ payload: payload(size) });
    stream.end();
    assert.equal((await answer).aggregated_payload_size, 74922);
  },

  async server_streaming(world) {
    const sizes = [31415, 9, 2653, 58979];
    const request = { response_parameters: sized(sizes) };
    assert.deepEqual(sizesOf(await collect(world.test.StreamingOutputCall(request, soon()))), sizes);
  },

  async server_streaming_many(world) {
    const request = { response_parameters: sized(new Array(20000).fill(10)) };
    assert.equal((await collect(world.test.StreamingOutputCall(request, soon()))).length, 20000);
  },

  async ping_pong(world) {
    const call = world.test.FullDuplexCall(soon());
    const status = until(call, "status");
    const rest = collect(call);
    for (const [ask, answer] of [[27182, 31415], [8, 9], [1828, 2653], [45904, 58979]]) {
      call.write({ response_parameters: sized([answer]), payload: payload(ask) });
      assert.equal((await until(call, "data")).payload.body.length, answer);
    }
    call.end();
    assert.equal((await rest).length, 4);
    assert.equal((await status).code, grpc.status.OK);
  },

  async half_duplex(world) {
    const call = world.test.HalfDuplexCall(soon());
    for (const size of [10, 20, 30, 40]) call.write({ response_parameters: sized([size]) });
    call.end();
    assert.deepEqual(sizesOf(await collect(call)), [10, 20, 30, 40]);
  },

  async many_requests_ahead(world) {
    const call = world.test.FullDuplexCall(soon());
    for (let i = 0; i < 3000; i++) call.write({ response_parameters: sized([10]) });
    call.end();
    assert.equal((await collect(call)).length, 3000);
  },

  async empty_stream(world) {
    const call = world.test.FullDuplexCall(soon());
    call.end();
    assert.deepEqual(await collect(call), []);
  },

  async empty_upload(world) {
    const { stream, answer } = upload(world);
    stream.end();
    assert.equal((await answer).aggregated_payload_size, 0);
  },

  // ---- deadlines and cancellation: the server's work ends, too ----

  async deadline_of_unary(world) {
    const before = await world.observe();
    const call = world.call(world.mirror, "Mirror", { delay_ms: 600000 }, new grpc.Metadata(), soon(200));
    await fails(grpc.status.DEADLINE_EXCEEDED, call);
    const after = await world.ended(before);
    assert.equal(after.cancelled + after.expired, before.cancelled + before.expired + 1);
  },

  async deadline_of_stream(world) {
    const before = await world.observe();
    const request = { response_parameters: sized([1], 600000000) };
    await fails(grpc.status.DEADLINE_EXCEEDED, collect(world.test.StreamingOutputCall(request, soon(200))));
    const after = await world.ended(before);
    assert.equal(after.cancelled + after.expired, before.cancelled + before.expired + 1);
  },

  async deadline_reaches_the_server(world) {
    const { response } = await world.call(world.mirror, "Mirror", {});
    assert.ok(response.time_left_ms > 0 && response.time_left_ms <= 30000, `${response.time_left_ms}`);
  },

  async no_deadline(world) {
    const { response } = await world.call(world.mirror, "Mirror", {}, new grpc.Metadata(), {});
    assert.equal(response.time_left_ms, -1);
  },

  async cancel_unary(world) {
    const before = await world.observe();
    let call;
    const metadata = new grpc.Metadata();
    const done = world.call(world.mirror, "Mirror", { delay_ms: 600000 }, metadata, soon(), (made) => (call = made));
    const failed = fails(grpc.status.CANCELLED, done);
    while ((await world.observe()).begun === before.begun);
    call.cancel();
    await failed;
    assert.equal((await world.ended(before)).cancelled, before.cancelled + 1);
  },

  // Node ends its side of a stream before it resets it: to an upload, that is its end. So the server counts it as
  // ended, by whichever of them it sees first.
  async cancel_before_the_first_message(world) {
    const before = await world.observe();
    const { stream, answer } = upload(world);
    // The server has begun the call.
    await until(stream, "metadata");
    stream.cancel();
    await fails(grpc.status.CANCELLED, answer);
    await world.ended(before);
  },

  async cancel_after_the_first_message(world) {
    const before = await world.observe();
    const call = quiet(world.test.FullDuplexCall(soon()));
    const status = until(call, "status");
    // The second response is what the server works at when the cancellation comes.
    const response_parameters = [...sized([31415]), ...sized([1], 600000000)];
    call.write({ response_parameters, payload: payload(27182) });
    assert.equal((await until(call, "data")).payload.body.length, 31415);
    call.cancel();
    assert.equal((await status).code, grpc.status.CANCELLED);
    assert.equal((await world.ended(before)).cancelled, before.cancelled + 1);
  },

  async cancel_a_stream_that_flows(world) {
    const before = await world.observe();
    const request = { response_parameters: sized(new Array(20000).fill(60000)) };
    const call = quiet(world.test.StreamingOutputCall(request, soon()));
    await until(call, "data");
    call.cancel();
    assert.equal((await world.ended(before)).cancelled, before.cancelled + 1);
  },

  // ---- metadata ----

  async echoed_metadata(world) {
    const metadata = new grpc.Metadata();
    metadata.set("x-grpc-test-echo-initial", "test_initial_metadata_value");
    metadata.set("x-grpc-test-echo-trailing-bin", Buffer.from("ababab", "hex"));
    const check = (headers, trailers) => {
      assert.deepEqual(headers.get("x-grpc-test-echo-initial"), ["test_initial_metadata_value"]);
      assert.deepEqual(trailers.get("x-grpc-test-echo-trailing-bin"), [Buffer.from("ababab", "hex")]);
    };
    const request = { response_size: 314159, payload: payload(271828) };
    const unary = await world.call(world.test, "UnaryCall", request, metadata);
    check(unary.headers, unary.status.metadata);
    const call = world.test.FullDuplexCall(metadata, soon());
    const parts = Promise.all([until(call, "metadata"), until(call, "status")]);
    call.write({ response_parameters: sized([314159]), payload: payload(271828) });
    call.end();
    assert.equal((await collect(call)).length, 1);
    const [headers, status] = await parts;
    check(headers, status.metadata);
  },

  async metadata_reaches_the_server(world) {
    const metadata = new grpc.Metadata();
    for (const [key, value] of MANY) metadata.add(key, value);
    const { response } = await world.call(world.mirror, "Mirror", {}, metadata);
    for (const wanted of KEYS)
      assert.deepEqual(
        response.metadata.filter(({ key }) => key === wanted).map(({ value }) => value.toString("latin1")),
        MANY.filter(([key]) => key === wanted).map(([, value]) => value.toString("latin1")),
      );
  },

  async metadata_comes_back(world) {
    const request = { headers: mirrored("h-"), trailers: mirrored("t-") };
    const { headers, status } = await world.call(world.mirror, "Mirror", request);
    checkBack(headers, "h-");
    checkBack(status.metadata, "t-");
  },

  async metadata_comes_back_with_an_error(world) {
    const request = { trailers: mirrored("t-"), failure: { code: 9, message: "no" } };
    const error = await fails(grpc.status.FAILED_PRECONDITION, world.call(world.mirror, "Mirror", request));
    checkBack(error.metadata, "t-");
  },

  async too_much_metadata(world) {
    const metadata = new grpc.Metadata();
    for (let i = 0; i < 9; i++) metadata.set(`x-much-${i}`, "y".repeat(1000));
    await fails(grpc.status.RESOURCE_EXHAUSTED, world.call(world.mirror, "Mirror", {}, metadata));
  },

  // ---- sizes and numbers ----

  async largest_messages(world) {
    const size = LARGEST - ENVELOPE;
    await world.call(world.test, "UnaryCall", { payload: payload(size) });
    const { response } = await world.call(world.test, "UnaryCall", { response_size: size });
    assert.equal(response.payload.body.length, size);
  },

  async too_large_request(world) {
    const request = { payload: payload(LARGEST - ENVELOPE + 1) };
    await fails(grpc.status.RESOURCE_EXHAUSTED, world.call(world.test, "UnaryCall", request));
    const { stream, answer } = upload(world);
    // Node counts what it has not sent, and beyond 10 MB of a session takes no answer any more.
    quiet(stream).write({ payload: payload(LARGEST) });
    await fails(grpc.status.RESOURCE_EXHAUSTED, answer);
    await cases.empty_unary(world);
  },

  async too_large_response(world) {
    const unary = world.call(world.test, "UnaryCall", { response_size: LARGEST - ENVELOPE + 1 });
    await fails(grpc.status.RESOURCE_EXHAUSTED, unary);
    const request = { response_parameters: sized([5, 2 * LARGEST]) };
    await fails(grpc.status.RESOURCE_EXHAUSTED, collect(world.test.StreamingOutputCall(request, soon())));
  },

  async parallel_calls_on_one_connection(world) {
    const { connections } = await world.observe();
    const sizes = Array.from({ length: 1000 }, (_, i) => i);
    const calls = await Promise.all(
      sizes.map((response_size) => world.call(world.test, "UnaryCall", { response_size })),
    );
    assert.deepEqual(calls.map(({ response }) => response.payload.body.length), sizes);
    assert.equal((await world.observe()).connections, connections);
  },

  async parallel_streams_on_one_connection(world) {
    const sizes = new Array(20).fill(50000);
    const request = { response_parameters: sized(sizes) };
    const streams = Array.from({ length: 50 }, () => collect(world.test.StreamingOutputCall(request, soon())));
    for (const responses of await Promise.all(streams)) assert.deepEqual(sizesOf(responses), sizes);
  },

  // ---- statuses ----

  async unimplemented_method(world) {
    const error = await fails(grpc.status.UNIMPLEMENTED, world.call(world.test, "UnimplementedCall", {}));
    assert.match(error.details, /UnimplementedCall/);
  },

  async unknown_method(world) {
    const unknown = { ...testing.TestService.service.EmptyCall, path: "/grpc.testing.TestService/NoSuchCall" };
    const Stub = grpc.makeGenericClientConstructor({ NoSuchCall: unknown }, "TestService");
    const stub = new Stub("", grpc.credentials.createInsecure(), { channelOverride: world.test.getChannel() });
    await fails(grpc.status.UNIMPLEMENTED, world.call(stub, "NoSuchCall", {}));
  },

  async unimplemented_service(world) {
    const stub = new testing.UnimplementedService("", grpc.credentials.createInsecure(), {
      channelOverride: world.test.getChannel(),
    });
    await fails(grpc.status.UNIMPLEMENTED, world.call(stub, "UnimplementedCall", {}));
  },

  async every_status(world) {
    for (let code = 1; code <= 16; code++) {
      const request = { response_status: { code, message: `status ${code}` } };
      const error = await fails(code, world.call(world.test, "UnaryCall", request));
      assert.equal(error.details, `status ${code}`);
      const call = world.test.FullDuplexCall(soon());
      call.write(request);
      call.end();
      assert.equal((await fails(code, collect(call))).details, `status ${code}`);
    }
  },

  async status_after_responses(world) {
    const call = world.test.FullDuplexCall(soon());
    const rest = fails(grpc.status.ABORTED, collect(call));
    call.write({ response_parameters: sized([7]) });
    assert.equal((await until(call, "data")).payload.body.length, 7);
    call.write({ response_status: { code: 10, message: "enough" } });
    assert.equal((await rest).details, "enough");
  },

  async unicode_in_a_status(world) {
    const request = { response_status: { code: 2, message: UNICODE } };
    const error = await fails(grpc.status.UNKNOWN, world.call(world.test, "UnaryCall", request));
    assert.equal(error.details, UNICODE);
  },

  async status_details(world) {
    const failure = { code: 5, message: "100% nothing ☺", detail: "what was missing" };
    const error = await fails(grpc.status.NOT_FOUND, world.call(world.mirror, "Mirror", { failure }));
    assert.equal(error.details, failure.message);
    const [raw] = error.metadata.get("grpc-status-details-bin");
    // Ours has the numbers of google.rpc.Status.
    const status = definition["flocks.ttrpc.v1.Status"].deserialize(raw);
    assert.deepEqual([status.code, status.message], [5, failure.message]);
    assert.equal(status.details[0].type_url, "type.googleapis.com/flocks.testing.v1.FailureDetail");
    const detail = definition["flocks.testing.v1.FailureDetail"].deserialize(status.details[0].value);
    assert.equal(detail.text, "what was missing");
  },

  // ---- :authority, as clients send it on unix sockets ----

  authority_localhost: () => authority("localhost"),
  authority_percent_encoded_path: () => authority(path.replaceAll("/", "%2F")),
  authority_path: () => authority(path),
  authority_of_another_host: () => authority("elsewhere.example:443"),

  // ---- at the end ----

  async nothing_is_left(world) {
    const now = await world.observe();
    assert.equal(now.begun, now.ended);
  },
};

async function authority(value) {
  const other = new World({ "grpc.default_authority": value });
  await cases.empty_unary(other);
  other.test.close();
}

const MANY = [
  ["x-text", "one"],
  ["x-bytes-bin", Buffer.from(Array.from({ length: 256 }, (_, i) => i))],
  ["x-text", "two, and a comma"],
  ["x-bytes-bin", Buffer.from("a")],
  ["x-other", "~ !\"#$%&'()*+,-./:;<=>?@[]^_`{|}"],
];
const KEYS = ["x-text", "x-bytes-bin", "x-other"];
const mirrored = (prefix) => MANY.map(([key, value]) => ({ key: prefix + key, value: Buffer.from(value) }));

function checkBack(metadata, prefix) {
  for (const wanted of KEYS) {
    const values = MANY.filter(([key]) => key === wanted).map(([, value]) => value);
    // Node's http2 makes one text of several.
    assert.deepEqual(metadata.get(prefix + wanted), wanted.endsWith("-bin") ? values : [values.join(", ")]);
  }
}

async function main() {
  const world = new World();
  for (const [name, run] of Object.entries(cases)) {
    try {
      await run(world);
      console.log(`ok ${name}`);
    } catch (error) {
      console.log(`FAIL ${name} ${String(error.stack).replaceAll("\n", " ").slice(0, 700)}`);
    }
  }
  world.test.close();
}

main();
