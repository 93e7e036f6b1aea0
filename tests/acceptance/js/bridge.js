// Makes gRPC calls with @grpc/grpc-js for harness/client_js.py.
//
//   node bridge.js HOST:PORT PROTO_DIR FILE.proto...
//
// One request a line on standard input: {id, service, method, request, metadata: [[name, value]], timeout_ms}.
// One answer a line on standard output: {id, code, details, messages, headers}; bytes are base64 in both directions.
'use strict';
const readline = require('readline');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const [address, protoDir, ...files] = process.argv.slice(2);
const definition = protoLoader.loadSync(files, {
  keepCase: true, longs: String, enums: String, bytes: String, json: true, includeDirs: [protoDir, '/usr/include'],
});
const root = grpc.loadPackageDefinition(definition);
const options = {'grpc.max_send_message_length': -1, 'grpc.max_receive_message_length': -1};
const clients = new Map();

function clientOf(service) {
  if (!clients.has(service)) {
    const Service = service.split('.').reduce((scope, name) => scope[name], root);
    clients.set(service, new Service(address, grpc.credentials.createInsecure(), options));
  }
  return clients.get(service);
}

function collect(into, metadata) {
  for (const name of metadata ? Object.keys(metadata.getMap()) : []) {
    const value = metadata.get(name)[0];
    into[name] = Buffer.isBuffer(value) ? value.toString('base64') : value;
  }
}

function start(command) {
  const metadata = new grpc.Metadata();
  for (const [name, value] of command.metadata) metadata.add(name, value);
  const callOptions = {deadline: Date.now() + command.timeout_ms};
  const answer = {id: command.id, code: 0, details: '', messages: [], headers: {}};
  const client = clientOf(command.service);
  const method = client[command.method];
  const done = (status) => {
    collect(answer.headers, status.metadata);
    answer.code = status.code;
    answer.details = status.details;
    process.stdout.write(JSON.stringify(answer) + '\n');
  };
  let call;
  if (method.responseStream) {
    call = method.call(client, command.request, metadata, callOptions);
    call.on('data', (message) => answer.messages.push(message));
    call.on('error', () => {}); // the status event tells
  } else {
    call = method.call(client, command.request, metadata, callOptions, (error, message) => {
      if (!error) answer.messages.push(message);
    });
  }
  call.on('metadata', (headers) => collect(answer.headers, headers));
  call.on('status', (status) => setImmediate(done, status)); // after the callback and the last message
}

readline.createInterface({input: process.stdin}).on('line', (line) => start(JSON.parse(line)));
