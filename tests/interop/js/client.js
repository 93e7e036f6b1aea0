/* The gRPC interoperability cases with npm's @grpc/grpc-js.
 *
 * usage: client.js HOST:PORT        one line a case: "NAME ok" or "NAME FAILED: why"
 *
 * Source of the cases: grpc/doc/interop-test-descriptions.md; half_duplex is ours. client_compressed_unary and client_compressed_streaming lack
 * their first step (a request that claims to be compressed and is not): grpc-js compresses a whole channel or nothing, so the
 * step is made on a second, uncompressed channel. Whether an answer was compressed neither client shows. */
'use strict';
const assert = require('node:assert');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const root = path.join(__dirname, '../../../proto');
const definition = loader.loadSync('grpc/testing/test.proto', { includeDirs: [root], keepCase: true });
const { TestService, UnimplementedService } = grpc.loadPackageDefinition(definition).grpc.testing;
const REQUEST_SIZES = [27182, 8, 1828, 45904];
const RESPONSE_SIZES = [31415, 9, 2653, 58979];
const GZIP = 2;

const address = process.argv[2];
const insecure = grpc.credentials.createInsecure();
const client = new TestService(address, insecure);
const gzipClient = new TestService(address, insecure, { 'grpc.default_compression_algorithm': GZIP });
const unknownClient = new UnimplementedService(address, insecure);

const payload = (size) => ({ body: Buffer.alloc(size) });
const largeRequest = (more) => ({ response_size: 314159, payload: payload(271828), ...more });
const sum = (list) => list.reduce((a, b) => a + b, 0);

function outputRequest(sizes, requestSize, more) {
  return { response_parameters: sizes.map((size) => ({ size, ...more })), payload: payload(requestSize || 0) };
}

/* A unary call as a promise of its response, metadata and status. */
function unary(on, method, request, metadata = new grpc.Metadata(), options = {}) {
  return new Promise((resolve, reject) => {
    const result = {};
    const call = on[method](request, metadata, options, (error, response) => {
      if (error) reject(error);
      else result.response = response;
    });
    call.on('metadata', (m) => { result.metadata = m; });
    call.on('status', (status) => { if (status.code === grpc.status.OK) resolve({ ...result, status }); });
  });
}

/* The responses of a stream, and its status; rejects with the error. */
function collect(call) {
  return new Promise((resolve, reject) => {
    const responses = [];
    let metadata;
    call.on('data', (response) => responses.push(response));
    call.on('metadata', (m) => { metadata = m; });
    call.on('error', reject);
    call.on('status', (status) => { if (status.code === grpc.status.OK) resolve({ responses, metadata, status }); });
  });
}

function sendAll(on, requests) {
  return new Promise((resolve, reject) => {
    const call = on.StreamingInputCall((error, response) => (error ? reject(error) : resolve(response)));
    requests.forEach((request) => call.write(request));
    call.end();
  });
}

async function fails(code, promise) {
  const error = await promise.then(() => assert.fail(`succeeded, expected status ${code}`), (e) => e);
  assert.strictEqual(error.code, code, error.message);
  return error;
}

const sizes = (responses) => responses.map((r) => r.payload.body.length);

const cases = {
  async empty_unary() {
    assert.deepStrictEqual((await unary(client, 'EmptyCall', {})).response, {});
  },
  async large_unary() {
    assert.strictEqual((await unary(client, 'UnaryCall', largeRequest())).response.payload.body.length, 314159);
  },
  async client_streaming() {
    const response = await sendAll(client, REQUEST_SIZES.map((size) => ({ payload: payload(size) })));
    assert.strictEqual(response.aggregated_payload_size, sum(REQUEST_SIZES));
  },
  async server_streaming() {
    const { responses } = await collect(client.StreamingOutputCall(outputRequest(RESPONSE_SIZES)));
    assert.deepStrictEqual(sizes(responses), RESPONSE_SIZES);
  },
  async ping_pong() {
    const call = client.FullDuplexCall();
    const done = collect(call);
    let turn = 0;
    const next = () => (turn < REQUEST_SIZES.length
      ? call.write(outputRequest([RESPONSE_SIZES[turn]], REQUEST_SIZES[turn++]))
      : call.end());
    call.on('data', next);
    next();
    assert.deepStrictEqual(sizes((await done).responses), RESPONSE_SIZES);
  },
  async empty_stream() {
    const call = client.FullDuplexCall();
    call.end();
    assert.deepStrictEqual((await collect(call)).responses, []);
  },
  async half_duplex() {
    const call = client.HalfDuplexCall();
    RESPONSE_SIZES.forEach((size) => call.write(outputRequest([size], 10)));
    call.end();
    assert.deepStrictEqual(sizes((await collect(call)).responses), RESPONSE_SIZES);
  },
  async client_compressed_unary() {
    const request = largeRequest({ expect_compressed: { value: true } });
    await fails(grpc.status.INVALID_ARGUMENT, unary(client, 'UnaryCall', request));
    assert.strictEqual((await unary(gzipClient, 'UnaryCall', request)).response.payload.body.length, 314159);
    const plain = await unary(client, 'UnaryCall', largeRequest({ expect_compressed: { value: false } }));
    assert.strictEqual(plain.response.payload.body.length, 314159);
  },
  async server_compressed_unary() {
    for (const value of [true, false]) {
      const { response } = await unary(client, 'UnaryCall', largeRequest({ response_compressed: { value } }));
      assert.strictEqual(response.payload.body.length, 314159);
    }
  },
  async client_compressed_streaming() {
    const requests = [27182, 45904].map((size) => ({ payload: payload(size), expect_compressed: { value: true } }));
    await fails(grpc.status.INVALID_ARGUMENT, sendAll(client, requests));
    assert.strictEqual((await sendAll(gzipClient, requests)).aggregated_payload_size, 73086);
  },
  async server_compressed_streaming() {
    const request = outputRequest([31415, 92653]);
    request.response_parameters.forEach((p, i) => { p.compressed = { value: i === 0 }; });
    const { responses } = await collect(client.StreamingOutputCall(request));
    assert.deepStrictEqual(sizes(responses), [31415, 92653]);
  },
  async status_code_and_message() {
    const status = { code: 2, message: 'test status message' };
    const error = await fails(grpc.status.UNKNOWN, unary(client, 'UnaryCall', { response_status: status }));
    assert.strictEqual(error.details, status.message);
    const call = client.FullDuplexCall();
    const done = collect(call);
    call.write({ response_status: status });
    call.end();
    assert.strictEqual((await fails(grpc.status.UNKNOWN, done)).details, status.message);
  },
  async special_status_message() {
    const status = { code: 2, message: '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n' };
    const error = await fails(grpc.status.UNKNOWN, unary(client, 'UnaryCall', { response_status: status }));
    assert.strictEqual(error.details, status.message);
  },
  async custom_metadata() {
    const metadata = new grpc.Metadata();
    metadata.set('x-grpc-test-echo-initial', 'test_initial_metadata_value');
    metadata.set('x-grpc-test-echo-trailing-bin', Buffer.from([0xab, 0xab, 0xab]));
    const check = (result) => {
      assert.deepStrictEqual(result.metadata.get('x-grpc-test-echo-initial'), ['test_initial_metadata_value']);
      const trailing = result.status.metadata.get('x-grpc-test-echo-trailing-bin');
      assert.deepStrictEqual(trailing, [Buffer.from([0xab, 0xab, 0xab])]);
    };
    check(await unary(client, 'UnaryCall', largeRequest(), metadata));
    const call = client.FullDuplexCall(metadata);
    const done = collect(call);
    call.write(outputRequest([314159], 271828));
    call.end();
    check(await done);
  },
  async unimplemented_method() {
    await fails(grpc.status.UNIMPLEMENTED, unary(client, 'UnimplementedCall', {}));
  },
  async unimplemented_service() {
    await fails(grpc.status.UNIMPLEMENTED, unary(unknownClient, 'UnimplementedCall', {}));
  },
  async cancel_after_begin() {
    let call;
    const done = new Promise((resolve, reject) => {
      call = client.StreamingInputCall((error, response) => (error ? reject(error) : resolve(response)));
    });
    call.cancel();
    await fails(grpc.status.CANCELLED, done);
  },
  async cancel_after_first_response() {
    const call = client.FullDuplexCall();
    const done = collect(call);
    call.on('data', (response) => {
      assert.strictEqual(response.payload.body.length, 31415);
      call.cancel();
    });
    call.write(outputRequest([31415], 27182));
    await fails(grpc.status.CANCELLED, done);
  },
  async timeout_on_sleeping_server() {
    const began = Date.now();
    const call = client.FullDuplexCall(new grpc.Metadata(), { deadline: began + 50 });
    const done = collect(call);
    call.write(outputRequest([31415], 27182, { interval_us: 5000000 }));
    await fails(grpc.status.DEADLINE_EXCEEDED, done);
    assert.ok(Date.now() - began < 2000, 'the deadline was not kept');
  },
};

async function main() {
  let failed = 0;
  for (const [name, run] of Object.entries(cases)) {
    try {
      await run();
      console.log(`${name} ok`);
    } catch (error) {
      failed++;
      console.log(`${name} FAILED: ${String(error.message).replace(/\s+/g, ' ')}`);
    }
  }
  process.exit(failed ? 1 : 0); /* close() would wait for the stream of cancel_after_begin, which grpc-js never resets */
}

main();
