'use strict'
/* npm kafkajs. Its codecs are plug-ins: snappy is its makers' own, lz4 and zstd are made of what is here already. */
const zlib = require('node:zlib')
const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, logLevel } = require('kafkajs')
const wasm = require('@platformatic/wasm-utils')
const { Unsupported, pack, unpack, record, delay, serve } = require('./protocol.js')

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async encoder => Buffer.from(wasm.lz4Compress(encoder.buffer)),
  decompress: async buffer => Buffer.from(wasm.lz4Decompress(buffer))
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => zlib.zstdCompressSync(encoder.buffer),
  decompress: async buffer => zlib.zstdDecompressSync(buffer)
})
const CODECS = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 }
const BATCH = 1000
const DYNAMIC_TOPIC_CONFIG = 1

const pairs = headers => Object.entries(headers || {}).flatMap(([name, v]) => [].concat(v).map(one => [name, one]))
const objects = headers => {
  const made = {}
  for (const [name, v] of headers || []) made[name] = name in made ? [].concat(made[name], unpack(v)) : unpack(v)
  return made
}

class Client {
  constructor (address) {
    this.version = require('kafkajs/package.json').version
    this.kafka = new Kafka({ clientId: 'tests', brokers: [address], logLevel: logLevel.ERROR, retry: { initialRetryTime: 50, retries: 6 } })
    this.members = new Map()
    this.names = 0
  }

  async close () {
    for (const member of this.members.values()) await member.consumer.disconnect()
    if (this.shared) await this.shared.disconnect()
  }

  async admin () {
    if (!this.shared) {
      const made = this.kafka.admin()
      await made.connect()
      this.shared = made
    }
    return this.shared
  }

  /* --- metadata --- */

  async metadata ({ topic }) {
    const admin = await this.admin()
    const cluster = await admin.describeCluster()
    const found = await admin.fetchTopicMetadata(topic ? { topics: [topic] } : undefined)
    return {
      brokers: cluster.brokers.map(b => ({ id: b.nodeId, host: b.host, port: b.port })),
      topics: Object.fromEntries(found.topics.map(t => [t.name, t.partitions.length]))
    }
  }

  async cluster () {
    const found = await (await this.admin()).describeCluster()
    return { brokers: found.brokers.length, controller: found.controller, id: found.clusterId }
  }

  /* --- produce and consume --- */

  async produce ({ topic, records, codec = 'none', acks = -1, idempotent = false, transactional }) {
    const producer = this.kafka.producer({ idempotent, transactionalId: transactional, maxInFlightRequests: transactional ? 1 : undefined })
    await producer.connect()
    try {
      const sink = transactional ? await producer.transaction() : producer
      const offsets = []
      for (let i = 0; i < records.length; i += BATCH) {
        await this.send(sink, topic, records.slice(i, i + BATCH), codec, acks, offsets)
      }
      if (transactional) await sink.commit()
      return { offsets: acks === 0 ? null : offsets }
    } finally {
      await producer.disconnect()
    }
  }

  async send (sink, topic, records, codec, acks, offsets) {
    const messages = records.map(r => ({
      key: unpack(r.key), value: unpack(r.value), partition: r.partition, headers: objects(r.headers),
      timestamp: r.timestamp === undefined ? undefined : String(r.timestamp)
    }))
    const found = await sink.send({ topic, messages, acks, compression: CODECS[codec] })
    for (const f of found) offsets.push([f.partition, Number(f.baseOffset)])
    for (let i = found.length; i < records.length; i++) offsets.push(null)
  }

  async fetch ({ topic, partition, start, count, timeout_s: seconds, reset }) {
    const groupId = `fetch-${process.pid}-${this.names++}`
    const consumer = this.kafka.consumer({ groupId, maxBytesPerPartition: 2000000, maxWaitTimeInMs: 200 })
    const records = []
    await consumer.connect()
    try {
      await consumer.subscribe({ topic, fromBeginning: start === 'earliest' || reset === 'earliest' })
      await consumer.run({
        autoCommit: false,
        eachMessage: async ({ partition: p, message: m }) => {
          if (p === partition) records.push(record(p, m.offset, m.timestamp, m.key, m.value, pairs(m.headers)))
        }
      })
      if (start !== 'earliest') consumer.seek({ topic, partition, offset: String(await this.place(topic, partition, start)) })
      const until = Date.now() + seconds * 1000
      while (records.length < count && Date.now() < until) await delay(5)
      return { records: records.slice(0, count) }
    } finally {
      await consumer.disconnect()
    }
  }

  async place (topic, partition, start) {
    if (typeof start === 'number') return start
    return (await this.offsets({ topic, partition, at: start })).offset
  }

  async offsets ({ topic, partition, at }) {
    const admin = await this.admin()
    const named = typeof at === 'string'
    const found = named ? await admin.fetchTopicOffsets(topic) : await admin.fetchTopicOffsetsByTimestamp(topic, at.time_ms)
    const one = found.find(f => f.partition === partition)
    return { offset: Number(at === 'earliest' ? one.low : at === 'latest' ? one.high : one.offset) }
  }

  /* --- groups --- */

  async join ({ member, group, topics, instance, assignor = 'range' }) {
    if (instance || assignor !== 'range') throw new Unsupported()
    const consumer = this.kafka.consumer({
      groupId: group, sessionTimeout: 10000, heartbeatInterval: 300, maxWaitTimeInMs: 200, rebalanceTimeout: 10000
    })
    const state = { consumer, records: [], assignment: [] }
    this.members.set(member, state)
    consumer.on(consumer.events.REBALANCING, () => { state.assignment = [] })
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      state.assignment = Object.entries(payload.memberAssignment).flatMap(([topic, some]) => some.map(p => [topic, p]))
    })
    await consumer.connect()
    await consumer.subscribe({ topics, fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ partition, message }) => { state.records.push([partition, Number(message.offset), pack(message.value)]) }
    })
  }

  async poll ({ member }) {
    const state = this.members.get(member)
    return { records: state.records.splice(0), assignment: state.assignment }
  }

  async leave ({ member }) {
    const { consumer } = this.members.get(member)
    this.members.delete(member)
    await consumer.disconnect()
  }

  async committed ({ group, topic, partitions }) {
    const found = await (await this.admin()).fetchOffsets({ groupId: group, topics: [topic] })
    const at = new Map(found[0].partitions.map(p => [p.partition, Number(p.offset)]))
    return { offsets: partitions.map(p => (at.get(p) >= 0 ? at.get(p) : null)) }
  }

  async set_offsets ({ group, topic, offsets }) {
    const partitions = Object.entries(offsets).map(([p, offset]) => ({ partition: Number(p), offset: String(offset) }))
    await (await this.admin()).setOffsets({ groupId: group, topic, partitions })
  }

  async groups () {
    return { groups: (await (await this.admin()).listGroups()).groups.map(g => g.groupId) }
  }

  async describe_group ({ group }) {
    const found = (await (await this.admin()).describeGroups([group])).groups[0]
    return { state: found.state, members: found.members.map(m => m.memberId) }
  }

  async delete_group ({ group }) {
    try {
      await (await this.admin()).deleteGroups([group])
    } catch (error) {
      throw error.groups ? error.groups[0].error : error
    }
  }

  /* --- admin --- */

  async create_topic ({ topic, partitions, config = {} }) {
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    const created = await (await this.admin()).createTopics({ topics: [{ topic, numPartitions: partitions, configEntries }] })
    if (!created) throw new Error('the topic exists already')
  }

  async delete_topic ({ topic }) {
    await (await this.admin()).deleteTopics({ topics: [topic] })
  }

  async grow_topic ({ topic, partitions }) {
    await (await this.admin()).createPartitions({ topicPartitions: [{ topic, count: partitions }] })
  }

  async delete_records ({ topic, partition, before }) {
    const admin = await this.admin()
    await admin.fetchTopicOffsets(topic) // deleteTopicRecords asks for no metadata itself
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] }).catch(error => {
      throw error.partitions ? error.partitions[0].error : error
    })
  }

  async configs (type, name) {
    const found = await (await this.admin()).describeConfigs({ includeSynonyms: false, resources: [{ type, name: String(name) }] })
    return found.resources[0].configEntries
  }

  async topic_config ({ topic }) {
    const entries = await this.configs(ConfigResourceTypes.TOPIC, topic)
    return {
      config: Object.fromEntries(entries.map(e => [e.configName, e.configValue])),
      set: entries.filter(e => e.configSource === DYNAMIC_TOPIC_CONFIG).map(e => e.configName)
    }
  }

  async broker_config ({ broker }) {
    const entries = await this.configs(ConfigResourceTypes.BROKER, broker)
    return { config: Object.fromEntries(entries.map(e => [e.configName, e.configValue])) }
  }

  async set_topic_config ({ topic, config }) {
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }]
    await (await this.admin()).alterConfigs({ validateOnly: false, resources })
  }
}

serve(new Client(process.argv[2]))
