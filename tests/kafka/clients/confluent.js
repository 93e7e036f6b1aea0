'use strict'
/* npm @confluentinc/kafka-javascript, which is librdkafka of the newest version: the interface that kafkajs has, and librdkafka's own
 * where that lacks something. */
const RdKafka = require('@confluentinc/kafka-javascript')
const { pack, unpack, record, serve } = require('./protocol.js')

const { Kafka, logLevel } = RdKafka.KafkaJS
const ADMIN_MS = 20000
const NAMED = { earliest: -2, latest: -1 }
const STATES = ['unknown', 'preparing', 'completing', 'stable', 'dead', 'empty']

const objects = headers => {
  const made = {}
  for (const [name, v] of headers || []) made[name] = name in made ? [].concat(made[name], unpack(v)) : unpack(v)
  return made
}
const pairs = headers => (headers || []).flatMap(one => Object.entries(one))
/* A call of librdkafka's own interface as a promise. */
const asked = call => new Promise((resolve, reject) => call((error, value) => (error ? reject(error) : resolve(value))))

class Client {
  constructor (address) {
    this.version = `${require('@confluentinc/kafka-javascript/package.json').version} (librdkafka ${RdKafka.librdkafkaVersion})`
    this.address = address
    this.common = { brokers: [address], logLevel: logLevel.NOTHING }
    this.members = new Map()
    this.names = 0
  }

  async close () {
    for (const { consumer } of this.members.values()) await consumer.disconnect()
    if (this.shared) await this.shared.disconnect()
    if (this.low) this.low.disconnect()
  }

  async admin () {
    if (!this.shared) {
      const made = new Kafka({ kafkaJS: this.common }).admin()
      await made.connect()
      this.shared = made
    }
    return this.shared
  }

  lowAdmin () {
    this.low ||= RdKafka.AdminClient.create({ 'bootstrap.servers': this.address, log_level: 0 })
    return this.low
  }

  /* --- metadata --- */

  async whole () {
    const producer = new RdKafka.Producer({ 'bootstrap.servers': this.address, 'log_level': 0, 'allow.auto.create.topics': false })
    try {
      await asked(done => producer.connect({}, done))
      return await asked(done => producer.getMetadata({ allTopics: true, timeout: ADMIN_MS }, done))
    } finally {
      await asked(done => producer.disconnect(done))
    }
  }

  async metadata ({ topic }) {
    const found = await this.whole()
    const topics = topic ? await (await this.admin()).fetchTopicMetadata({ topics: [topic] }) : found.topics
    return {
      brokers: found.brokers.map(({ id, host, port }) => ({ id, host, port })),
      topics: Object.fromEntries(topics.map(t => [t.name, t.partitions.length]))
    }
  }

  async cluster () {
    const found = await this.whole()
    return { brokers: found.brokers.length, controller: found.brokers[0].id, id: null }
  }

  /* --- produce and consume --- */

  async produce ({ topic, records, codec = 'none', acks = -1, idempotent = false, transactional }) {
    const options = { kafkaJS: { compression: codec, idempotent } }
    if (transactional) options.kafkaJS.transactionalId = transactional
    else options.kafkaJS.acks = acks
    Object.assign(options, { 'message.max.bytes': 2000000, 'linger.ms': 20 })
    const producer = new Kafka({ kafkaJS: this.common }).producer(options)
    await producer.connect()
    try {
      const sink = transactional ? await producer.transaction() : producer
      const sent = await Promise.all(records.map(r => sink.send({ topic, messages: [this.message(r)] })))
      if (transactional) await sink.commit()
      return { offsets: acks === 0 ? null : sent.map(([s]) => [s.partition, Number(s.baseOffset)]) }
    } finally {
      await producer.disconnect()
    }
  }

  message (r) {
    const made = { key: unpack(r.key), value: unpack(r.value), headers: objects(r.headers) }
    if (r.partition !== undefined && r.partition !== null) made.partition = r.partition
    if (r.timestamp !== undefined) made.timestamp = String(r.timestamp)
    return made
  }

  /* Partitions are assigned by hand: librdkafka's own interface. */
  async fetch ({ topic, partition, start, count, timeout_s: seconds, reset }) {
    const consumer = new RdKafka.KafkaConsumer({
      'bootstrap.servers': this.address, 'group.id': 'unused', 'log_level': 0, 'enable.auto.commit': false,
      'fetch.message.max.bytes': 2000000
    }, { 'auto.offset.reset': reset || 'error' })
    const records = []
    try {
      await asked(done => consumer.connect({}, done))
      const offset = typeof start === 'number' ? start : NAMED[start] ?? (await this.offsets({ topic, partition, at: start })).offset
      consumer.assign([{ topic, partition, offset }])
      consumer.setDefaultConsumeTimeout(50)
      const until = Date.now() + seconds * 1000
      while (records.length < count && Date.now() < until) {
        for (const m of await asked(done => consumer.consume(count - records.length, done))) {
          records.push(record(m.partition, m.offset, m.timestamp, m.key, m.value, pairs(m.headers)))
        }
      }
      return { records }
    } finally {
      await asked(done => consumer.disconnect(done))
    }
  }

  async offsets ({ topic, partition, at }) {
    const admin = await this.admin()
    const found = await (typeof at === 'string' ? admin.fetchTopicOffsets(topic) : admin.fetchTopicOffsetsByTimestamp(topic, at.time_ms))
    const one = found.find(f => f.partition === partition)
    return { offset: Number(at === 'earliest' ? one.low : at === 'latest' ? one.high : one.offset) }
  }

  /* --- groups --- */

  async join ({ member, group, topics, instance, assignor = 'range' }) {
    const options = {
      kafkaJS: { groupId: group, fromBeginning: true, sessionTimeout: 10000, heartbeatInterval: 300, partitionAssigners: [assignor] }
    }
    if (instance) options['group.instance.id'] = instance
    const consumer = new Kafka({ kafkaJS: this.common }).consumer(options)
    const state = { consumer, records: [] }
    this.members.set(member, state)
    await consumer.connect()
    await consumer.subscribe({ topics })
    await consumer.run({
      eachMessage: async ({ partition, message }) => { state.records.push([partition, Number(message.offset), pack(message.value)]) }
    })
  }

  async poll ({ member }) {
    const { consumer, records } = this.members.get(member)
    return { records: records.splice(0), assignment: consumer.assignment().map(a => [a.topic, a.partition]) }
  }

  async leave ({ member }) {
    const { consumer } = this.members.get(member)
    this.members.delete(member)
    await consumer.disconnect()
  }

  async committed ({ group, topic, partitions }) {
    const found = await (await this.admin()).fetchOffsets({ groupId: group, topics: [{ topic, partitions }] })
    const at = new Map(found[0].partitions.map(p => [p.partition, Number(p.offset)]))
    return { offsets: partitions.map(p => (at.get(p) >= 0 ? at.get(p) : null)) }
  }

  async groups () {
    return { groups: (await (await this.admin()).listGroups()).groups.map(g => g.groupId) }
  }

  async describe_group ({ group }) {
    const found = (await (await this.admin()).describeGroups([group])).groups[0]
    return { state: STATES[found.state], members: found.members.map(m => m.memberId) }
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
    await asked(done => this.lowAdmin().createPartitions(topic, partitions, ADMIN_MS, done))
  }

  async delete_records ({ topic, partition, before }) {
    const admin = await this.admin()
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] })
  }
}

serve(new Client(process.argv[2]))
