'use strict'
/* What a client program speaks with the driver, for those written in JavaScript: a line of JSON in, a line out. */
const readline = require('node:readline')

class Unsupported extends Error {}

const pack = data => (data === null || data === undefined ? null : Buffer.from(data).toString('base64'))
const unpack = text => (text === null || text === undefined ? null : Buffer.from(text, 'base64'))

/* As the driver wants it. headers: a list of pairs. */
const record = (partition, offset, timestamp, key, value, headers) => ({
  partition, offset: Number(offset), timestamp: Number(timestamp), key: pack(key), value: pack(value),
  headers: headers.map(([name, v]) => [name.toString(), pack(v)])
})

const delay = ms => new Promise(resolve => setTimeout(resolve, ms))

/* With what it was caused by. */
function told (error) {
  const causes = [error.cause, ...(error.errors || [])].filter(Boolean).map(told)
  return [`${error.name}: ${error.message}`, ...causes].join('; ')
}

async function run (client, name, options) {
  if (typeof client[name] !== 'function') return { unsupported: true }
  try {
    return (await client[name](options)) || {}
  } catch (error) {
    if (error instanceof Unsupported) return { unsupported: true }
    return { error: told(error) }
  }
}

/* A command is a method of the client. */
async function serve (client) {
  process.stdout.write(JSON.stringify({ version: client.version }) + '\n')
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { op, ...options } = JSON.parse(line)
    process.stdout.write(JSON.stringify(await run(client, op, options)) + '\n')
  }
  await client.close()
  process.exit(0)
}

module.exports = { Unsupported, pack, unpack, record, delay, serve }
