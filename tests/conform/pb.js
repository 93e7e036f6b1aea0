// Random messages between npm's protobufjs and pb_echo. Usage: pb.js PATH_OF_PB_ECHO; SEED and COUNT from the environment.
'use strict';
const {spawnSync} = require('child_process');
const protobuf = require('protobufjs');

const seed = Number(process.env.SEED || Date.now() % 1000000);
const count = Number(process.env.COUNT || 300);
let passed = 0, failed = 0, state = seed;

function random(n) { // a linear congruential generator: enough to choose test data, and repeatable
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor(state / 4294967296 * n);
}
const pick = (...choices) => choices[random(choices.length)];

function check(ok, ...what) {
  if (ok) { passed++; return; }
  if (++failed <= 5) console.log('FAILED (seed ' + seed + '):', ...what.map((w) => String(w).slice(0, 1000)));
}

const values = {
  double: () => pick(0.5, -1e300, 5e-324, Infinity, random(1000) / 7),
  float: () => pick(0.5, -2, 16777216, Infinity),
  int32: () => pick(-2147483648, 2147483647, -1, random(1000)), sint32: () => values.int32(), sfixed32: () => values.int32(),
  uint32: () => pick(4294967295, random(100000)), fixed32: () => values.uint32(),
  int64: () => pick('-9223372036854775808', '9223372036854775807', '-1', String(random(1e9))), sint64: () => values.int64(),
  sfixed64: () => values.int64(),
  uint64: () => pick('18446744073709551615', String(random(1e9))), fixed64: () => values.uint64(),
  bool: () => pick(true, false),
  string: () => pick('', 'x', 'aä€😀\u0000\n', 'long '.repeat(random(50))),
  bytes: () => Buffer.from(Array.from({length: random(40)}, () => random(256))),
};

function valueOf(type, resolved, depth) {
  if (!resolved) return values[type]();
  if (resolved instanceof protobuf.Enum) return pick(...Object.values(resolved.values));
  return fill(resolved, depth + 1);
}

function fill(type, depth) {
  if (type.name === 'Duration') return {seconds: String(random(1000)), nanos: random(1e9)}; // others have no JSON form
  const out = {};
  const oneofs = new Set();
  for (const f of type.fieldsArray) {
    f.resolve();
    if (random(3) === 0 || (depth > 2 && f.resolvedType instanceof protobuf.Type)) continue;
    if (f.partOf && !f.options?.proto3_optional) {
      if (oneofs.has(f.partOf.name)) continue;
      oneofs.add(f.partOf.name);
    }
    if (f.map) {
      out[f.name] = {};
      for (let i = random(4); i > 0; i--) out[f.name][mapKey(f.keyType)] = valueOf(f.type, f.resolvedType, depth);
    } else if (f.repeated) {
      out[f.name] = Array.from({length: random(4)}, () => valueOf(f.type, f.resolvedType, depth));
    } else {
      out[f.name] = valueOf(f.type, f.resolvedType, depth);
    }
  }
  return out;
}

function mapKey(type) { // protobufjs keeps 64-bit keys as hashes in memory; small ones come out the same
  if (type === 'bool') return pick('true', 'false');
  if (type === 'string') return pick('a', 'b', 'c', 'ä');
  return String(random(100));
}

function frame(name, input) {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(input.length);
  return Buffer.concat([Buffer.from('b'), Buffer.from([name.length]), Buffer.from(name), size, input]);
}

function readAnswers(output) {
  const answers = [];
  for (let at = 0; at < output.length;) {
    const ok = output[at++] === 0;
    const blocks = [];
    for (let i = 0; i < 2; i++) {
      const size = output.readUInt32LE(at);
      blocks.push(output.subarray(at + 4, at + 4 + size));
      at += 4 + size;
    }
    answers.push({ok, binary: blocks[0], json: blocks[1]});
  }
  return answers;
}

async function main() {
  const root = new protobuf.Root();
  root.resolvePath = (origin, target) => target.startsWith('google/') ? '/usr/include/' + target : 'proto/' + target;
  await root.load('prism/test/v1/kinds.proto', {keepCase: true});
  const cases = [];
  for (let i = 0; i < count; i++) {
    const type = root.lookupType('prism.test.v1.' + ['Scalars', 'Optionals', 'Repeated', 'Maps', 'Oneofs', 'Awkward'][i % 6]);
    const input = Buffer.from(type.encode(type.fromObject(fill(type, 0))).finish());
    cases.push({type, name: 'prism.test.v1.' + type.name, input});
  }
  const echo = spawnSync(process.argv[2], {input: Buffer.concat(cases.map((c) => frame(c.name, c.input))), maxBuffer: 1 << 28});
  const answers = readAnswers(echo.stdout);
  check(echo.status === 0 && answers.length === cases.length, 'pb_echo ended with', echo.status, answers.length);
  // With defaults: protobufjs writes a zero that was set, which proto3 leaves out where presence is not tracked.
  const plain = {longs: String, bytes: String, enums: Number, oneofs: true, defaults: true};
  cases.forEach((c, i) => {
    const a = answers[i];
    if (!a || !a.ok) { check(false, 'refused', c.name, c.input.toString('hex'), a && a.binary); return; }
    const before = JSON.stringify(c.type.toObject(c.type.decode(c.input), plain));
    const after = JSON.stringify(c.type.toObject(c.type.decode(a.binary), plain));
    check(before === after, 'differs', c.name, before, after);
  });
  console.log(passed + ' passed, ' + failed + ' failed');
  process.exit(failed ? 1 : 0);
}

main();
