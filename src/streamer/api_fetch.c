/* Fetch: what the request or its session asks for becomes items; fetch.c reads them and waits; the answer names what was found. */
#include <stddef.h>

#include "base/limits.h"
#include "streamer/api.h"
#include "streamer/fetch.h"

#define FORGOTTEN struct kafka_fetch_request_forgotten_topic
#define PARTITION_IN struct kafka_fetch_request_partition
#define PARTITION_OUT struct kafka_fetch_response_partition
#define TOPIC_IN struct kafka_fetch_request_topic
#define TOPIC_OUT struct kafka_fetch_response_topic

enum { VERSION_TOPIC_IDS = 13 };

/* --- the answer ------------------------------------------------------------------------------------------------------------- */

static struct kafka_records records_of(struct fetch_item *i)
{
    i->sent = (struct request_range){.file = i->range.file, .position = i->range.position, .size = i->size};
    if (!i->size)
        return (struct kafka_records){.bytes = slice_of(KAFKA_EMPTY, 0)};
    return (struct kafka_records){.source = &i->sent, .size = i->size};
}

static PARTITION_OUT tell(struct fetch_item *i, bool committed)
{
    PARTITION_OUT told = kafka_fetch_response_partition_default;
    told.partition_index = i->wish.partition;
    told.error_code = (int16_t)i->error;
    told.high_watermark = told.last_stable_offset = i->end;
    told.log_start_offset = i->start;
    told.aborted_transactions.items = committed ? KAFKA_EMPTY : NULL;
    told.records = records_of(i);
    return told;
}

/* A session is told only of what is new. */
static bool is_told(struct fetch *fetch, struct fetch_item *i)
{
    return !i->entry || fetch_entry_tell(fetch->session, i->entry, i->error, i->end, i->start, i->size > 0);
}

static bool same_topic(const struct fetch_wish *a, const struct fetch_wish *b)
{
    return slice_eq(a->topic, b->topic) && memcmp(&a->topic_id, &b->topic_id, sizeof a->topic_id) == 0;
}

/* Neighbours of one topic share its row; a session's order may name a topic more than once. */
static void add_told(struct kafka_fetch_response *out, struct fetch_item *i, PARTITION_OUT *place, bool committed)
{
    TOPIC_OUT *topic = out->responses.count ? &out->responses.items[out->responses.count - 1] : NULL;
    struct fetch_wish last = {0};
    if (topic)
        last = (struct fetch_wish){.topic = topic->topic, .topic_id = topic->topic_id};
    if (!topic || !same_topic(&last, &i->wish)) {
        topic = &out->responses.items[out->responses.count++];
        *topic = (TOPIC_OUT){.topic = i->wish.topic, .topic_id = i->wish.topic_id, .partitions.items = place};
    }
    *place = tell(i, committed);
    topic->partitions.count++;
}

static bool fill(struct fetch *fetch, struct kafka_fetch_response *out)
{
    const struct kafka_fetch_request *in = fetch->request->body;
    PARTITION_OUT *places = arena_array(&fetch->request->arena, PARTITION_OUT, fetch->count + 1);
    out->responses.items = arena_array(&fetch->request->arena, TOPIC_OUT, fetch->count + 1);
    if (!places || !out->responses.items)
        return false;
    for (uint32_t n = 0; n < fetch->count; n++)
        if (is_told(fetch, &fetch->items[n]))
            add_told(out, &fetch->items[n], places++, in->isolation_level != 0);
    return true;
}

static void give_session_back(struct fetch *fetch, bool well)
{
    if (!fetch->session)
        return;
    if (!well)
        fetch_session_end(fetch->session);
    fetch_session_give_back(fetch->session);
    fetch->session = NULL;
}

static void fetched(struct fetch *fetch)
{
    struct request *r = fetch->request;
    struct kafka_fetch_response out = kafka_fetch_response_default;
    bool well = !request_abandoned(r) && fill(fetch, &out);
    out.session_id = fetch->session && !fetch->session->ended ? fetch->session->id : 0;
    give_session_back(fetch, well);
    if (well)
        request_reply(r, &out);
    else
        request_drop(r);
}

static void ended(struct request *r)
{
    fetch_release(r->context);
}

static void abandoned(struct request *r)
{
    fetch_abandon(r->context);
}

static void reply_error(struct request *r, enum kafka_error error)
{
    struct kafka_fetch_response out = kafka_fetch_response_default;
    out.error_code = (int16_t)error;
    out.responses.items = KAFKA_EMPTY;
    request_reply(r, &out);
}

/* --- what is asked for ------------------------------------------------------------------------------------------------------ */

static struct fetch_wish wish_of(const TOPIC_IN *topic, const PARTITION_IN *in)
{
    return (struct fetch_wish){.topic = topic->topic,
                               .topic_id = topic->topic_id,
                               .offset = in->fetch_offset,
                               .partition = in->partition,
                               .bytes_max = in->partition_max_bytes,
                               .leader_epoch = in->current_leader_epoch};
}

static const struct topic *find_topic(const struct request *r, const struct fetch_wish *wish)
{
    return wish->topic.size ? topics_find(r->shard->topics, wish->topic)
                            : topics_find_id(r->shard->topics, &wish->topic_id);
}

static bool add_item(struct fetch *fetch, const struct fetch_wish *wish, struct fetch_entry *entry)
{
    struct fetch_item *i = &fetch->items[fetch->count++];
    const struct topic *topic = find_topic(fetch->request, wish);
    *i = (struct fetch_item){.wish = *wish, .entry = entry, .end = -1, .start = -1};
    if (topic && wish->partition >= 0 && (uint32_t)wish->partition < topic->partitions)
        return scatter_add(&fetch->scatter, &i->part_of, &topic->id, (uint32_t)wish->partition);
    i->error = topic || wish->topic.size ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_UNKNOWN_TOPIC_ID;
    return true;
}

static bool make_items(struct fetch *fetch, uint32_t count)
{
    fetch->items = arena_array(&fetch->request->arena, struct fetch_item, (size_t)count + 1);
    return fetch->items;
}

static bool add_of_session(struct fetch *fetch)
{
    bool added = make_items(fetch, fetch->session->by_key.count);
    for (struct fetch_entry *e = fetch->session->first; e && added; e = e->next)
        added = add_item(fetch, &e->wish, e);
    return added;
}

static bool add_of_request(struct fetch *fetch)
{
    const struct kafka_fetch_request *in = fetch->request->body;
    uint32_t count = 0;
    for (uint32_t t = 0; t < in->topics.count; t++)
        count += in->topics.items[t].partitions.count;
    bool added = make_items(fetch, count);
    for (uint32_t t = 0; t < in->topics.count && added; t++) {
        const TOPIC_IN *topic = &in->topics.items[t];
        for (uint32_t n = 0; n < topic->partitions.count && added; n++) {
            struct fetch_wish wish = wish_of(topic, &topic->partitions.items[n]);
            added = add_item(fetch, &wish, NULL);
        }
    }
    return added;
}

static void forget(struct fetch_session *s, const FORGOTTEN *topic)
{
    for (uint32_t n = 0; n < topic->partitions.count; n++) {
        struct fetch_wish wish = {
            .topic = topic->topic, .topic_id = topic->topic_id, .partition = topic->partitions.items[n]};
        fetch_session_forget(s, &wish);
    }
}

static bool want(struct fetch_session *s, const TOPIC_IN *topic)
{
    bool room = true;
    for (uint32_t n = 0; n < topic->partitions.count && room; n++) {
        struct fetch_wish wish = wish_of(topic, &topic->partitions.items[n]);
        room = fetch_session_want(s, &wish);
    }
    return room;
}

/* What changes. A new session for which there is no room is none; one that goes on ends. */
static bool update_session(struct fetch *fetch)
{
    const struct kafka_fetch_request *in = fetch->request->body;
    bool room = true;
    for (uint32_t t = 0; t < in->forgotten_topics_data.count; t++)
        forget(fetch->session, &in->forgotten_topics_data.items[t]);
    for (uint32_t t = 0; t < in->topics.count && room; t++)
        room = want(fetch->session, &in->topics.items[t]);
    return room && fetch->session->first;
}

/* KAFKA_NONE: fetch->session is what is asked for; where it is NULL the request is. */
static enum kafka_error take_session(struct fetch *fetch)
{
    struct request *r = fetch->request;
    const struct kafka_fetch_request *in = r->body;
    bool by_id = request_version(r) >= VERSION_TOPIC_IDS;
    if (!r->shard->partitions) /* the shard has closed */
        return KAFKA_NOT_LEADER_OR_FOLLOWER;
    struct fetch_sessions *sessions = r->shard->partitions->sessions;
    enum kafka_error error = fetch_session_take(sessions, in->session_id, in->session_epoch, by_id, &fetch->session);
    if (error || !fetch->session || update_session(fetch))
        return error;
    bool complete = in->session_epoch == 0 || !fetch->session->first;
    give_session_back(fetch, false);
    return complete ? KAFKA_NONE : KAFKA_FETCH_SESSION_ID_NOT_FOUND;
}

static uint64_t bytes_of(int32_t asked, uint64_t max)
{
    return asked < 0 ? 0 : (uint64_t)asked < max ? (uint64_t)asked : max;
}

static void limits_of(struct fetch *fetch)
{
    const struct kafka_fetch_request *in = fetch->request->body;
    uint64_t wait_ms = bytes_of(in->max_wait_ms, LIMIT_FETCH_WAIT_MS);
    fetch->bytes_max = bytes_of(in->max_bytes, LIMIT_FETCH_BYTES);
    fetch->bytes_min = bytes_of(in->min_bytes, fetch->bytes_max);
    fetch->due_ns = fetch->request->received_ns + wait_ms * 1000000;
}

static void begin(struct fetch *fetch)
{
    struct request *r = fetch->request;
    r->context = fetch;
    r->ended = ended;
    r->abandoned = abandoned;
    if ((fetch->session ? add_of_session(fetch) : add_of_request(fetch)) && fetch_start(fetch))
        return;
    give_session_back(fetch, false);
    request_drop(r);
}

void api_fetch(struct request *r)
{
    struct fetch *fetch = arena_new(&r->arena, struct fetch);
    if (!fetch) {
        request_drop(r);
        return;
    }
    fetch->request = r;
    fetch->done = fetched;
    scatter_init(&fetch->scatter, r->shard, &r->arena, NULL, NULL);
    limits_of(fetch);
    enum kafka_error error = take_session(fetch);
    if (error)
        reply_error(r, error);
    else
        begin(fetch);
}
