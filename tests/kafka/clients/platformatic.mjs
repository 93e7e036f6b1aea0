/* npm @platformatic/kafka, which speaks the newest versions of the protocol alone. */
import { createRequire } from 'node:module'
import { randomUUID } from 'node:crypto'
import { Admin, Consumer, Producer, ListOffsetTimestamps } from '@platformatic/kafka'

const require = createRequire(import.meta.url)
const { Unsupported, pack, unpack, record, delay, serve } = require('./protocol.js')

const TOPIC = 2
const BROKER = 4
const SET = 0
const DYNAMIC_TOPIC_CONFIG = 1
const BATCH = 1000
const AT = { earliest: ListOffsetTimestamps.EARLIEST, latest: ListOffsetTimestamps.LATEST }
const STATES = { STABLE: 'stable', EMPTY: 'empty', DEAD: 'dead' }

const text = value => (typeof value === 'string' ? value : value.toString())

class Client {
  constructor (address) {
    this.version = require('./node_modules/@platformatic/kafka/package.json').version
    this.common = { clientId: 'tests', bootstrapBrokers: [address], retries: 5, retryDelay: 100 }
    this.admin = new Admin(this.common)
    this.members = new Map()
  }

  async close () {
    for (const member of this.members.values()) await member.consumer.close(true)
    await this.admin.close()
  }

  /* --- metadata --- */

  async metadata ({ topic }) {
    const topics = topic ? [topic] : await this.admin.listTopics()
    const found = await this.admin.metadata({ topics, forceUpdate: true })
    return {
      brokers: [...found.brokers].map(([id, b]) => ({ id, host: b.host, port: b.port })),
      topics: Object.fromEntries(topics.map(t => [t, found.topics.get(t).partitionsCount]))
    }
  }

  async cluster () {
    const found = await this.admin.metadata({ topics: [], forceUpdate: true })
    return { brokers: found.brokers.size, controller: found.controllerId ?? 0, id: found.id }
  }

  /* --- produce and consume --- */

  async produce ({ topic, records, codec = 'none', acks = -1, idempotent = false, transactional }) {
    const options = { ...this.common, autocreateTopics: true, idempotent: idempotent || Boolean(transactional) }
    const producer = new Producer(transactional ? { ...options, transactionalId: transactional } : options)
    try {
      const sink = transactional ? await producer.beginTransaction() : producer
      const offsets = []
      for (let i = 0; i < records.length; i += BATCH) {
        const messages = records.slice(i, i + BATCH).map(r => this.message(topic, r))
        const sent = await sink.send(transactional ? { messages, compression: codec } : { messages, acks, compression: codec })
        for (const o of sent.offsets || []) offsets.push([o.partition, Number(o.offset)])
        offsets.push(...messages.slice((sent.offsets || []).length).map(() => null))
      }
      if (transactional) await sink.commit()
      return { offsets: acks === 0 ? null : offsets }
    } finally {
      await producer.close(true)
    }
  }

  message (topic, r) {
    const made = { topic, key: unpack(r.key) ?? undefined, value: unpack(r.value) ?? undefined }
    if (r.partition !== undefined && r.partition !== null) made.partition = r.partition
    if (r.timestamp !== undefined) made.timestamp = BigInt(r.timestamp)
    if (r.headers) made.headers = new Map(r.headers.map(([name, v]) => [Buffer.from(name), unpack(v)]))
    return made
  }

  async fetch ({ topic, partition, start, count, timeout_s: seconds, reset }) {
    const consumer = new Consumer({ ...this.common, groupId: randomUUID(), autocommit: false, maxWaitTime: 200, maxBytes: 4000000 })
    const records = []
    try {
      const from = await this.place(topic, partition, start)
      const partitions = (await this.admin.metadata({ topics: [topic], forceUpdate: true })).topics.get(topic).partitionsCount
      const offsets = [...Array(partitions).keys()].map(p => ({ topic, partition: p, offset: p === partition ? from : 0n }))
      const stream = await consumer.consume({ topics: [topic], mode: 'manual', offsets, fallbackMode: reset === 'earliest' ? reset : 'fail' })
      let failure
      stream.on('error', error => { failure = error })
      stream.on('data', m => {
        if (m.partition === partition) records.push(record(m.partition, m.offset, m.timestamp, m.key, m.value, m.headerEntries))
      })
      const until = Date.now() + seconds * 1000
      while (records.length < count && Date.now() < until && !failure) await delay(5)
      if (failure) throw failure
      await stream.close()
      return { records: records.slice(0, count) }
    } finally {
      await consumer.close(true)
    }
  }

  async place (topic, partition, start) {
    if (typeof start === 'number') return BigInt(start)
    return BigInt((await this.offsets({ topic, partition, at: start })).offset)
  }

  async offsets ({ topic, partition, at }) {
    const timestamp = typeof at === 'string' ? AT[at] : BigInt(at.time_ms)
    const found = await this.admin.listOffsets({ topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }] })
    return { offset: Number(found[0].partitions[0].offset) }
  }

  /* --- groups --- */

  async join ({ member, group, topics, instance, assignor = 'range' }) {
    if (assignor !== 'range') throw new Unsupported()
    const consumer = new Consumer({
      ...this.common, groupId: group, groupInstanceId: instance, sessionTimeout: 10000, rebalanceTimeout: 10000, heartbeatInterval: 300,
      maxWaitTime: 200
    })
    const state = { consumer, records: [], fetches: 0, settled: 0 }
    this.members.set(member, state)
    /* A fetch that is under way may still bring what another member has now: assignments are told once it is done. */
    consumer.on('consumer:group:join', () => { state.settled = state.fetches + 2 })
    state.stream = await consumer.consume({ topics, mode: 'committed', fallbackMode: 'earliest', autocommit: 100 })
    state.stream.on('fetch', () => { state.fetches++ })
    state.stream.on('error', error => { state.trouble = text(error.message) })
    state.stream.on('data', m => { state.records.push([m.partition, Number(m.offset), pack(m.value)]) })
  }

  async poll ({ member }) {
    const { consumer, records, trouble, fetches, settled } = this.members.get(member)
    const assignment = (fetches < settled ? [] : consumer.assignments || []).flatMap(a => a.partitions.map(p => [a.topic, p]))
    return { records: records.splice(0), assignment, trouble }
  }

  async leave ({ member }) {
    const { consumer, stream } = this.members.get(member)
    this.members.delete(member)
    await stream.close()
    await consumer.close(true)
    return { left: true } // a static member too says good-bye
  }

  async committed ({ group, topic, partitions }) {
    const found = await this.admin.listConsumerGroupOffsets({ groups: [{ groupId: group, topics: [{ name: topic, partitionIndexes: partitions }] }] })
    const at = new Map((found[0].topics[0]?.partitions || []).map(p => [p.partitionIndex, Number(p.committedOffset)]))
    return { offsets: partitions.map(p => (at.get(p) >= 0 ? at.get(p) : null)) }
  }

  async set_offsets ({ group, topic, offsets }) {
    const partitionOffsets = Object.entries(offsets).map(([p, offset]) => ({ partition: Number(p), offset: BigInt(offset) }))
    await this.admin.alterConsumerGroupOffsets({ groupId: group, topics: [{ name: topic, partitionOffsets }] })
  }

  async delete_offsets ({ group, topic, partitions }) {
    await this.admin.deleteConsumerGroupOffsets({ groupId: group, topics: [{ name: topic, partitionIndexes: partitions }] })
  }

  async groups () {
    return { groups: [...(await this.admin.listGroups()).keys()] }
  }

  async describe_group ({ group }) {
    const found = (await this.admin.describeGroups({ groups: [group] })).get(group)
    return { state: STATES[found.state] || found.state, members: [...found.members.keys()] }
  }

  async delete_group ({ group }) {
    await this.admin.deleteGroups({ groups: [group] })
  }

  /* --- admin --- */

  async create_topic ({ topic, partitions, config = {} }) {
    const configs = Object.entries(config).map(([name, value]) => ({ name, value }))
    await this.admin.createTopics({ topics: [topic], partitions, replicas: 1, configs })
  }

  async delete_topic ({ topic }) {
    await this.admin.deleteTopics({ topics: [topic] })
  }

  async grow_topic ({ topic, partitions }) {
    await this.admin.createPartitions({ topics: [{ name: topic, count: partitions, assignments: null }] })
  }

  async delete_records ({ topic, partition, before }) {
    await this.admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition, offset: BigInt(before) }] }] })
  }

  async configs (resourceType, resourceName) {
    return (await this.admin.describeConfigs({ resources: [{ resourceType, resourceName: String(resourceName) }] }))[0].configs
  }

  async topic_config ({ topic }) {
    const entries = await this.configs(TOPIC, topic)
    return {
      config: Object.fromEntries(entries.map(e => [e.name, e.value])),
      set: entries.filter(e => e.configSource === DYNAMIC_TOPIC_CONFIG).map(e => e.name)
    }
  }

  async broker_config ({ broker }) {
    return { config: Object.fromEntries((await this.configs(BROKER, broker)).map(e => [e.name, e.value])) }
  }

  async set_topic_config ({ topic, config }) {
    const configs = Object.entries(config).map(([name, value]) => ({ name, value, configOperation: SET }))
    await this.admin.incrementalAlterConfigs({ resources: [{ resourceType: TOPIC, resourceName: topic, configs }] })
  }

  async log_dirs ({ topic }) {
    const found = await this.admin.describeLogDirs({ topics: [{ name: topic, partitions: [0] }] })
    const partitions = found[0].results.flatMap(r => r.topics).filter(t => t.name === topic).flatMap(t => t.partitions)
    return { sizes: Object.fromEntries(partitions.map(p => [p.partitionIndex, Number(p.partitionSize)])) }
  }
}

serve(new Client(process.argv[2]))
