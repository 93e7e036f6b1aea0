/* Every size, count and time that a stranger can influence, in one place, each with what it stops. Those that a namespace or
 * the configuration can change say so. Units are last in the names. */
#ifndef PRISM_BASE_LIMITS_H
#define PRISM_BASE_LIMITS_H

/* clang-format off */
enum {
    /* Data rules (api.md). */
    LIMIT_KEY_BYTES = 1024,
    LIMIT_MESSAGE_BYTES = 4 << 20,            /* default of a namespace: value, payload, whole message */
    LIMIT_MESSAGE_BYTES_MAX = 64 << 20,       /* a namespace may raise it up to this */
    LIMIT_BATCH_ITEMS = 1000,
    LIMIT_PAGE_ITEMS_DEFAULT = 100,
    LIMIT_PAGE_ITEMS = 10000,
    LIMIT_PAGE_BYTES = 1 << 20,
    LIMIT_TAGS = 64,                          /* tags of one item */
    LIMIT_TAG_BYTES = 1024,                   /* name and value of one tag together */
    LIMIT_CURSOR_BYTES = 4096,
    LIMIT_PLACE_BYTES = LIMIT_KEY_BYTES + 8,  /* what a cursor carries: a key, or a score and a member */
    LIMIT_MEMBER_BYTES = 1024,                /* a member of a set or a sorted set: it is a key of an index everywhere */
    LIMIT_COLLECTION_ITEMS = 1 << 30,         /* of one list, set or sorted set: positions fit 32 bits */
    LIMIT_OPERATION_KEYS = 100,               /* collections that one union, intersection or difference reads */
    LIMIT_OPERATION_MEMBERS = 100000,         /* that one such call looks at: it holds up a worker for some 20 ms */
    LIMIT_WAITING_POPS = 10000,               /* blocking pops of a namespace that wait: each keeps its call's memory */
    LIMIT_NAMESPACE_NAME_BYTES = 64,
    LIMIT_NAMESPACES = 1024,
    LIMIT_BACKENDS = 100,

    /* Transactions: memory and snapshots that an idle caller holds. */
    LIMIT_TRANSACTIONS_OPEN = 64,             /* a namespace */
    LIMIT_TRANSACTION_KEYS = 10000,
    LIMIT_TRANSACTION_BYTES = 16 << 20,
    LIMIT_TRANSACTION_IDLE_MS = 30000,        /* default */
    LIMIT_TRANSACTION_IDLE_MS_MAX = 300000,
    LIMIT_TRANSACTION_LIFE_MS = 300000,       /* of one that is never idle: a snapshot keeps a log from shrinking */
    LIMIT_TRANSACTIONS_OPEN_MAX = 10000,      /* a namespace may raise LIMIT_TRANSACTIONS_OPEN up to this */

    /* Stores in memory. */
    LIMIT_MEMORY_BYTES = 1 << 30,             /* default of a namespace: keys, values and bookkeeping */

    /* Idempotency keys. */
    LIMIT_IDEMPOTENCY_KEY_BYTES = 255,
    LIMIT_IDEMPOTENCY_RETENTION_MS = 86400000, /* default of a namespace: 24 h */
    LIMIT_IDEMPOTENCY_RETENTION_MS_MAX = 2073600000, /* 24 days */
    LIMIT_IDEMPOTENCY_KEYS = 1000000,          /* kept a namespace in memory; past it the oldest go */

    /* Protobuf and JSON: stack and memory that hostile input can ask for. */
    LIMIT_PB_DEPTH = 100,                     /* the specification's default */
    LIMIT_PB_BYTES = 0x7fffffff,              /* one message: sizes fit 31 bits, as in the specification */
    LIMIT_FIELD_VIOLATIONS = 20,              /* named in one answer */
    LIMIT_PB_FILES = 10000,                   /* of one descriptor pool */
    LIMIT_PB_SYMBOLS = 1000000,
    LIMIT_PB_FIELDS = 4096,                   /* of one message that a descriptor defines */
    LIMIT_PB_POOL_BYTES = 512 << 20,
    LIMIT_JSON_DEPTH = 100,
    LIMIT_YAML_DEPTH = 32,
    LIMIT_YAML_BYTES = 16 << 20,
    LIMIT_YAML_ANCHORS = 1000,
    LIMIT_CONFIG_MAP_ENTRIES = 10000,         /* keys of one YAML map: looked up one after the other */
    LIMIT_CONFIG_ARENA_BYTES = 512 << 20,     /* a configuration as messages */
    LIMIT_REFLECTION_BYTES = 8 << 20,         /* memory of one reflection answer */
    LIMIT_SECRET_BYTES = 64 << 10,            /* a secret read from a file */
    LIMIT_CONFIG_NODES = 200000,              /* YAML nodes after aliases: a billion laughs end here */
    LIMIT_DECODE_EXPANSION = 16,              /* decoded bytes at most this many times the message limit */

    /* Kafka's messages (abuse catalogue, case 57). */
    LIMIT_KAFKA_ITEMS = 1 << 20,              /* of one array: memory is taken for all of them at once */
    LIMIT_KAFKA_BATCH_RECORDS = 1 << 24,      /* of one batch: a compressed one could claim offsets by the billion */
    LIMIT_KAFKA_TAGS = 64,                    /* tagged fields of one struct, known or not */

    /* Calls. */
    LIMIT_CALL_ARENA_BYTES = 256 << 20,       /* memory of one call: message limits end it earlier */
    LIMIT_CALLS_IN_FLIGHT = 100000,           /* the process */
    LIMIT_DEADLINE_DEFAULT_MS = 30000,        /* unary call without grpc-timeout */
    LIMIT_DEADLINE_MAX_MS = 300000,           /* unary: longer is taken as this */
    LIMIT_REQUEST_ID_BYTES = 128,
    LIMIT_TRACEPARENT_BYTES = 55,
    LIMIT_TRACESTATE_BYTES = 512,

    /* HTTP/2 and HTTP/1.1 connections (abuse catalogue 2.1). */
    LIMIT_CONNECTIONS = 20000,                /* the process; and never more than half of the descriptors */
    LIMIT_CONNECTIONS_PER_CLIENT = 2000,      /* default: of one address, of one identity; and half of what the process takes */
    LIMIT_CONNECTIONS_PER_CLIENT_MAX = 1000000, /* a setting */
    LIMIT_CALLS_PER_CLIENT = 10000,           /* default: in flight, over all connections of a client */
    LIMIT_OUTPUT_PER_CLIENT_BYTES = 256 << 20, /* default: answers that a client has asked for and does not take */
    LIMIT_OUTPUT_ALL_BYTES = 1 << 30,         /* the same of all clients together */
    LIMIT_REFUSALS_WAITING = 100,             /* of a worker: connections over their share that are open to be told so */
    LIMIT_REFUSAL_MS = 1000,                  /* how long one of these may take to say what it speaks */
    LIMIT_HTTP2_STREAMS = 100,                /* concurrent on a connection */
    LIMIT_HTTP2_STREAM_WINDOW_BYTES = 64 << 10,
    LIMIT_HTTP2_CONNECTION_WINDOW_BYTES = 1 << 20,
    LIMIT_HTTP2_FRAME_BYTES = 16384,
    LIMIT_HTTP2_CONTINUATIONS = 8,            /* CONTINUATION flood, VU#421644 */
    LIMIT_HTTP2_HEADER_TABLE_BYTES = 4096,
    LIMIT_HTTP2_RESET_BURST = 200,            /* rapid reset, CVE-2023-44487; and resets we were provoked to send */
    LIMIT_HTTP2_RESET_PER_S = 33,
    LIMIT_HTTP2_GLITCH_BURST = 1000,          /* PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA */
    LIMIT_HTTP2_GLITCH_PER_S = 100,
    LIMIT_HTTP2_FRAMES_AT_ONCE = 64,          /* of one read, before the budgets are looked at again */
    LIMIT_HTTP2_CONTROL_QUEUED = 1000,        /* control frames waiting for a peer that does not read */
    LIMIT_HTTP2_SETTINGS_ENTRIES = 32,
    LIMIT_HEADER_FIELDS = 100,                /* counted before any is stored: HPACK bombs */
    LIMIT_HEADER_BYTES = 16 << 10,            /* decoded, 32 bytes a field included */
    LIMIT_HEADER_VALUE_BYTES = 8 << 10,
    LIMIT_HEADER_BLOCK_BYTES = 64 << 10,      /* encoded, with its CONTINUATIONs; past it the connection ends */
    LIMIT_HTTP2_IDLE_MS = 900000,             /* a connection without a call is asked to leave */
    LIMIT_DRAIN_ROUND_TRIP_MS = 1000,         /* between the two GOAWAYs, where the peer does not answer the PING */
    LIMIT_OUTPUT_QUEUE_BYTES = 1 << 20,       /* a connection: past it nothing more is produced or read */
    LIMIT_OUTPUT_QUEUE_BYTES_MAX = 96 << 20,  /* a connection: one largest message beyond it; past this it is closed */
    LIMIT_OUTPUT_TURN_BYTES = 256 << 10,      /* sent on a connection before others have their turn: files would go on and on */
    LIMIT_OUTPUT_REFERENCES = 65536,          /* blocks and ranges of files that wait on a connection */
    LIMIT_LISTEN_BACKLOG = 1024,
    LIMIT_ACCEPT_BATCH = 64,                  /* connections taken in one turn: accepting does not starve those that are open */
    LIMIT_ACCEPT_PAUSE_MS = 100,              /* out of descriptors: no spinning in accept (CVE-2023-4785) */
    LIMIT_LINGER_MS = 1000,                   /* after our last byte: reading on, so that a reset does not destroy it */
    LIMIT_LINGER_BYTES = 1 << 20,
    LIMIT_HANDSHAKE_MS = 10000,               /* TLS and the HTTP/2 preface: slowloris */
    LIMIT_HEADERS_MS = 5000,                  /* first byte of a header block to its last */
    LIMIT_FIRST_REQUEST_MS = 10000,
    LIMIT_UNARY_REQUEST_MS = 30000,           /* headers to the end of the body */
    LIMIT_WRITE_STALL_MS = 60000,             /* a peer that takes no byte for this long is closed */
    LIMIT_HTTP1_IDLE_MS = 60000,
    LIMIT_SSE_HEARTBEAT_MS = 15000,           /* ours: what lies between gives up silent connections */
    LIMIT_KEEPALIVE_MS = 7200000,             /* default: a silent peer is asked by a PING (gRPC's 2 h) */
    LIMIT_KEEPALIVE_MS_MIN = 1000,            /* a setting: less would be a flood of our own */
    LIMIT_KEEPALIVE_MS_MAX = 2073600000,      /* a setting: 24 days */
    LIMIT_KEEPALIVE_TIMEOUT_MS = 20000,       /* default: one that does not answer is gone */
    LIMIT_PING_INTERVAL_MIN_MS = 10000,       /* gRPC keepalive enforcement with calls in flight */
    LIMIT_PING_IDLE_INTERVAL_MIN_MS = 300000, /* without */
    LIMIT_PING_STRIKES = 2,
    LIMIT_CLIENT_KEPT_BYTES = 256 << 10,      /* of our client: sent, and kept until the server answers (gRPC A6) */
    LIMIT_DRAIN_MS = 30000,                   /* SIGTERM to exit at most; a setting */
    LIMIT_METRICS_PAGE_BYTES = 64 << 20,
    LIMIT_OPERATIONS_CONNECTIONS = 200,       /* on the metrics port */
    LIMIT_TLS_WATCH_MS = 10000,               /* between two looks at the certificate files */
    LIMIT_DRAIN_MS_MAX = 300000,
    LIMIT_PAUSE_MS = 30000,                   /* a reload that pauses writes waits this long for those under way */

    /* What strangers can make us say. */
    LIMIT_LOG_LINE_BYTES = 4096,              /* a pipe takes this much at once: lines never mix */
    LIMIT_LOG_VALUE_BYTES = 1024,
    LIMIT_OFFENCE_LINE_BURST = 10,            /* lines about connections that were ended for floods, each worker */
    LIMIT_OFFENCE_LINE_PER_S = 1,
    LIMIT_METRIC_SERIES = 10000,              /* of one metric; past it the labels read "other" */
    LIMIT_METRIC_LABEL_BYTES = 128,

    /* Workers and queues inside. */
    LIMIT_WORKERS = 64,
    LIMIT_SPIN_MS = 1,                        /* looking for events before sleeping: more gains nothing */
    LIMIT_CONGESTION_NAME_BYTES = 15,         /* TCP_CA_NAME_MAX of the kernel, without its end */
    LIMIT_POOL_THREADS = 16,
    LIMIT_MAILBOX_MESSAGES = 65536,
    LIMIT_WRITE_QUEUE = 10000,                /* writes waiting for a backend's single writer */
    LIMIT_GROUP_COMMIT = 1000,                /* writes of one group */
    LIMIT_GROUP_COMMIT_BYTES = 16 << 20,      /* payload of one group: others wait no longer than this takes to write */
    LIMIT_READ_QUEUE = 10000,                 /* reads waiting for a backend's reader threads */
    LIMIT_READERS = 64,                       /* reader threads of a namespace */
    LIMIT_TOUCHED_KEYS = 10000,               /* deleted while transactions are open; past it these conflict too often */
    LIMIT_LOG_FRAMES = 16384,                 /* pages of SQLite's WAL; past it the writer waits for readers */
    LIMIT_CHECK_MS = 1000,                    /* of looking for damage when a database is opened */
    LIMIT_BULKHEAD_IN_FLIGHT = 1000,          /* default of a namespace: its calls at a remote backend */
    LIMIT_BULKHEAD_QUEUE = 1000,              /* default: those that wait for that; past it they are refused */
    LIMIT_BULKHEAD_MAX = 100000,              /* a setting may raise both up to this */
    LIMIT_BREAKER_FAILURES = 5,               /* default: in a row */
    LIMIT_BREAKER_FAILURES_MAX = 10000,
    LIMIT_BREAKER_OPEN_MS = 30000,            /* default */
    LIMIT_BREAKER_OPEN_MS_MAX = 3600000,
    LIMIT_BREAKER_SILENT_MS = 100,            /* a call given up earlier says nothing about its backend: callers with tiny
                                                 deadlines cannot open the breaker for others */
    LIMIT_RETRY_ATTEMPTS = 3,                 /* default: of one call, the first included */
    LIMIT_RETRY_ATTEMPTS_MAX = 10,
    LIMIT_RETRY_BUDGET_PERCENT = 10,          /* default: retries by calls */
    LIMIT_RETRY_BACKOFF_MS = 20,              /* before the first retry at most; then twice as much each time */
    LIMIT_RETRY_BACKOFF_MS_MAX = 1000,
    LIMIT_FLIGHTS = 10000,                    /* reads of a namespace that others may share */
    LIMIT_FLIGHT_CALLERS = 10000,             /* of one shared read */
    LIMIT_REDIS_IN_FLIGHT = 65536,            /* commands of one connection that wait for their answers */
    LIMIT_REDIS_WAITING = 10000,              /* calls that wait for one connection, or for a loop's topology */
    LIMIT_REDIS_REPLY_ITEMS = 1 << 20,        /* of one array: what a server may make us allocate */
    LIMIT_REDIS_REDIRECTS = 5,                /* of one command: nodes that point at each other */
    LIMIT_REDIS_NODES = 1000,                 /* of a Cluster */
    LIMIT_REDIS_SERVERS = 16,                 /* named in one connection string */
    LIMIT_REDIS_BUCKETS = 1024,               /* slots of a Cluster over which a namespace is spread */
    LIMIT_REDIS_SCAN_KEYS = 1000,             /* looked at by one script: it holds up the server no longer */
    LIMIT_REDIS_SCAN_BYTES = 256 << 10,       /* answered by one script */
    LIMIT_REDIS_REFRESH_MS = 500,             /* between two looks at a Cluster's slots */
    LIMIT_REDIS_RETRY_MIN_MS = 50,            /* before connecting again; doubles with each failure, and is spread */
    LIMIT_REDIS_RETRY_MAX_MS = 2000,
    LIMIT_REDIS_CONNECT_MS = 2000,            /* a setting: resolve, connect, TLS, AUTH */
    LIMIT_REDIS_ANSWER_MS = 5000,             /* a setting: a server that says nothing for so long is given up */
    LIMIT_REDIS_BLOCK_MS = 15000,             /* of one XREAD that waits for pushes: a dead connection shows no later */
    LIMIT_REDIS_GREETING_BYTES = 64 << 10,    /* AUTH and the answers to it */
    LIMIT_BACKEND_TEST_MS = 5000,             /* of one `prismctl backend test` */
    LIMIT_POSTGRES_WAITING = 10000,           /* operations of a class that wait for a connection of a loop */
    LIMIT_POSTGRES_GROUP = 128,               /* operations of one statement */
    LIMIT_POSTGRES_GROUP_BYTES = 4 << 20,     /* payload sent on one connection at a time, but for a single larger one */
    LIMIT_POSTGRES_LANE_BYTES = 320 << 20,    /* memory of what is sent on one connection: largest message, copied for the wire */
    LIMIT_POSTGRES_DEADLOCK_RETRIES = 5,
    LIMIT_POSTGRES_IDLE_MS = 60000,           /* a connection beyond pool.min that nobody needs */
    LIMIT_POSTGRES_RESTING = 4,               /* connections of a loop that wait for the next transaction */
    LIMIT_POSTGRES_GIVE_UP_MS = 2000,         /* from a cancel request to the end of its connection */
    LIMIT_POSTGRES_BACKOFF_MIN_MS = 100,      /* after the first attempt to connect that failed */
    LIMIT_POSTGRES_BACKOFF_MS = 10000,
    LIMIT_POSTGRES_LOOK_MS = 500,             /* between two looks of a blocking pop for what other proxies pushed */
    LIMIT_POSTGRES_SWEEP_MS = 5000,           /* of one statement that removes expired rows */
    LIMIT_POSTGRES_SWEEP_INTERVAL_MS = 30000,
    LIMIT_JOURNAL_HEADER_BYTES = 128,         /* of an entry of a log */
    LIMIT_JOURNAL_LOGS = 1 << 20,             /* open at once in a shard */
    LIMIT_JOURNAL_SEGMENT_BYTES = 1 << 30,    /* default: a log's file ends before it becomes larger */
    LIMIT_JOURNAL_SEGMENT_BYTES_MAX = 2147483647, /* a setting: positions in a file have 32 bits */
    LIMIT_JOURNAL_SEGMENTS = 1 << 20,         /* of a log: a stranger's segment.bytes cannot make more */
    LIMIT_JOURNAL_FILES_OPEN = 1000,          /* default: descriptors kept while nobody needs them */
    LIMIT_JOURNAL_WAL_FILE_BYTES = 64 << 20,  /* default: of a file of the write-ahead stream */
    LIMIT_JOURNAL_WAL_FILES = 8,              /* default: past it appends wait for a checkpoint */
    LIMIT_JOURNAL_GROUP_BYTES = 4 << 20,      /* of one write of the stream: others wait no longer than this takes */
    LIMIT_JOURNAL_QUEUE_BYTES = 64 << 20,     /* of appends that wait for the stream: others are held before they are written */
    LIMIT_JOURNAL_WARM_BYTES = 256 << 20,     /* default: appended since, and so still in the page cache */
    LIMIT_JOURNAL_SYNCS = 64,                 /* default: segments that a checkpoint syncs one by one */
    LIMIT_JOURNAL_CHECKPOINT_MS = 60000,      /* default: what is written is synced no later */
    LIMIT_JOURNAL_RETENTION_MS = 30000,       /* default: between two looks at what is to be removed */
    LIMIT_STREAM_GROUPS = 100000,             /* of a shard: any name in a request makes one */
    LIMIT_STREAM_GROUP_ID_BYTES = 1024,       /* of a group, a member, an instance */
    LIMIT_STREAM_GROUP_MEMBERS = 5000,        /* of a group, with ids that were given out and have not come back */
    LIMIT_STREAM_GROUP_BYTES = 4 << 20,       /* of a group: what its members say and are told; it is one entry of a ledger */
    LIMIT_STREAM_GROUP_PROTOCOLS = 32,        /* of a member: each is compared with those of all others */
    LIMIT_STREAM_GROUP_OFFSETS = 200000,      /* of a group */
    LIMIT_STREAM_OFFSETS = 5000000,           /* of a shard, some 150 bytes each */
    LIMIT_STREAM_OFFSET_METADATA_BYTES = 4096, /* Kafka's offset.metadata.max.bytes */
    LIMIT_STREAM_OFFSETS_LOOK_MS = 60000,     /* between two looks for offsets that expire */
    LIMIT_LEDGER_ENTRY_BYTES = 8 << 20,       /* one entry */
    LIMIT_LEDGER_COMMIT_BYTES = 16 << 20,     /* entries that wait for one write; past it appends are refused */
    LIMIT_LEDGER_COMPACT_BYTES = 4 << 20,     /* default: a smaller file is not worth rewriting */
    LIMIT_LEDGER_SNAPSHOT_BYTES = 512 << 20,  /* memory of a rewriting */

    /* MemoryStreamer (abuse catalogue, case 57). */
    LIMIT_STREAM_FIRST_FRAME_BYTES = 1 << 20, /* until a request of the connection has been understood */
    LIMIT_STREAM_FRAME_BYTES = 100 << 20,
    LIMIT_STREAM_FRAME_COPIED_BYTES = 4096,   /* smaller frames are copied: one that waits would else hold a whole read */
    LIMIT_STREAM_FRAME_GROWTH_BYTES = 64 << 10, /* first memory of a frame that comes in pieces; then twice as much each time */
    LIMIT_STREAM_FRAME_MS = 60000,            /* first byte of a frame to its last: slowloris */
    LIMIT_STREAM_FRAME_MS_PER_MIB = 1000,     /* and so much more for each MiB of it */
    LIMIT_STREAM_REQUESTS = 100,              /* of a connection, in flight: then it is not read from */
    LIMIT_STREAM_REQUEST_BYTES = 32 << 20,    /* of a connection: frames and answers held; one larger frame beyond it */
    LIMIT_STREAM_HELD_BYTES = 256 << 20,      /* of a shard: past it no new frames are taken */
    LIMIT_STREAM_HELD_BYTES_MAX = 1 << 30,    /* of a shard: past it a frame that grows ends its connection */
    LIMIT_STREAM_ARENA_BYTES = 512 << 20,     /* memory of one request: the array of a largest frame, some 40 bytes for one */
    LIMIT_STREAM_ANSWER_BYTES = 256 << 20,    /* of one answer, without records that go by reference */
    LIMIT_STREAM_REQUESTS_KEPT = 64,          /* of a shard: memory for the next requests */
    LIMIT_STREAM_REQUEST_KEPT_BYTES = 32 << 10, /* of each */
    LIMIT_STREAM_IDLE_MS = 600000,            /* a connection without a request, as Kafka's connections.max.idle.ms */
    LIMIT_STREAM_LOOK_MS = 2000,              /* between two looks at what is idle or stalls */
    LIMIT_STREAM_TOPIC_NAME_BYTES = 249,      /* Kafka's */
    LIMIT_STREAM_TOPICS = 100000,
    LIMIT_STREAM_PARTITIONS = 200000,         /* of all topics */
    LIMIT_STREAM_TOPIC_PARTITIONS = 50000,    /* of one topic */
    LIMIT_STREAM_CHANGES = 10000,             /* topics of one request of an administrator */
    LIMIT_STREAM_BATCH_BYTES = 1048588,       /* default of max.message.bytes: Kafka's */
    LIMIT_STREAM_BATCH_BYTES_MAX = 96 << 20,  /* a setting: below a frame */
    LIMIT_STREAM_FIGURES = 10000,             /* topics, groups, and topics of groups that the metrics page names */
    LIMIT_STREAM_FETCH_SESSIONS = 1000,       /* default: of a shard */
    LIMIT_STREAM_OFFSETS_RETENTION_MS = 604800000, /* default: of a group without members */
    LIMIT_STREAM_SESSION_MIN_MS = 6000,       /* default: a member's session timeout */
    LIMIT_STREAM_SESSION_MAX_MS = 1800000,    /* default */
    LIMIT_STREAM_REBALANCE_DELAY_MS = 500,    /* default: of the first member of a group, for others */
    LIMIT_STREAM_RETENTION_MS = 604800000,    /* default: seven days */
    LIMIT_STREAM_SEGMENT_BYTES = 1 << 30,     /* default */
    LIMIT_STREAM_SEGMENT_BYTES_MIN = 64 << 10, /* a setting: files that one partition can ask for */
    LIMIT_DISK_FREE_BYTES = 4 << 20,          /* less is reported as unhealthy */

    /* MemoryStreamer: the data path. */
    LIMIT_PRODUCERS = 10000,                  /* idempotent producers that a partition remembers, 200 bytes each */
    LIMIT_PRODUCERS_SHARD = 100000,           /* of all partitions of a shard */
    LIMIT_PRODUCER_FRESH_MS = 900000,         /* active lately: not forgotten for a new one, it could still repeat something */
    LIMIT_PRODUCER_SAVE_MS = 10000,           /* what is known of producers is saved so often; batches since are read at start */
    LIMIT_PRODUCER_ID_BLOCK = 1000,           /* ids that a shard reserves at once */
    LIMIT_FETCH_BYTES = 57671680,             /* of one answer, whatever is asked for (Kafka's fetch.max.bytes) */
    LIMIT_FETCH_RANGES = 1000,                /* of one answer: each holds a descriptor until it is sent */
    LIMIT_FETCH_WAITING_PARTITIONS = 1 << 20, /* of all fetches of a shard that wait, 350 bytes each; past it they do not wait */
    LIMIT_FETCH_WAIT_MS = 600000,             /* of one fetch that finds nothing */
    LIMIT_FETCH_SESSIONS_MAX = 100000,        /* of a shard; a setting */
    LIMIT_FETCH_SESSION_PARTITIONS = 200000,  /* of all sessions of a shard, 150 bytes each */
    LIMIT_FETCH_SESSION_IDLE_MS = 120000,     /* then it may go for a new one */
    LIMIT_PRODUCER_EXPIRY_MS = 86400000,      /* idle for so long: forgotten (Kafka's producer.id.expiration.ms) */
};
/* clang-format on */

#endif
