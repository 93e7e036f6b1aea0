#include "troupe.h"

#include <stdarg.h>
#include <stdio.h>

#include "../harness.h"
#include "base/mem.h"

static void say(struct troupe *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct troupe *t, const char *format, ...)
{
    char line[256];
    va_list args;
    if (t->quiet)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    buf_printf(&t->said, "%llu %s\n", (unsigned long long)t->now_ms, line);
}

static void copy_text(char *to, size_t size, struct slice from)
{
    snprintf(to, size, "%.*s", SLICE_ARG(from));
}

/* ---- what the group says ---------------------------------------------------------------------------------------------- */

static void joined(void *context, struct group *g, void *waiter, const struct group_joined *answer)
{
    struct actor *a = waiter;
    CHECK(a->waits_join); /* exactly once */
    a->waits_join = false;
    a->last = answer->error;
    if (answer->error && answer->error != KAFKA_MEMBER_ID_REQUIRED) {
        say(context, "%s: %s", a->name, kafka_error_name((int16_t)answer->error));
        return;
    }
    copy_text(a->id, sizeof a->id, answer->member_id);
    if (answer->error) {
        say(context, "%s: it is %s", a->name, a->id);
        return;
    }
    CHECK(g->generation >= a->generation);
    a->generation = g->generation;
    a->leads = answer->leads;
    say(context, "%s: generation %d, %.*s%s%s", a->name, g->generation, SLICE_ARG(g->protocol),
        answer->leads ? ", leads" : "", answer->skip_assignment ? " without assigning" : "");
}

static void synced(void *context, struct group *g, void *waiter, enum kafka_error e, const struct group_member *m)
{
    struct actor *a = waiter;
    CHECK(a->waits_sync);
    a->waits_sync = false;
    a->last = e;
    a->given[0] = '\0';
    if (!e)
        copy_text(a->given, sizeof a->given, m->assignment);
    CHECK(e || g->generation == a->generation);
    say(context, "%s: %s%s", a->name, e ? kafka_error_name((int16_t)e) : "has ", a->given);
}

static void store(void *context, struct group *g, uint64_t ticket)
{
    struct troupe *t = context;
    CHECK(&t->group == g);
    t->ticket = ticket;
    t->stores++;
}

static void moved(void *context, struct group *g, enum group_state from, const char *why)
{
    say(context, "%s > %s: %s", group_state_name(from), group_state_name(g->state), why);
}

static const struct group_outlet outlet = {.joined = joined, .synced = synced, .store = store, .moved = moved};

/* ---- its life --------------------------------------------------------------------------------------------------------- */

enum err troupe_init(struct troupe *t, uint32_t initial_delay_ms)
{
    *t = (struct troupe){0};
    buf_init(&t->said, 1 << 20);
    enum err e = group_init(&t->group, SLICE("play"), &outlet, t);
    t->group.rules = (struct group_rules){.initial_delay_ms = initial_delay_ms,
                                          .session_min_ms = 1000,
                                          .session_max_ms = 1800000,
                                          .members_max = 60,
                                          .bytes_max = 1 << 20};
    return e;
}

void troupe_fini(struct troupe *t)
{
    t->quiet = true;
    group_dismiss(&t->group, KAFKA_COORDINATOR_NOT_AVAILABLE);
    for (uint32_t i = 0; i < t->actor_count; i++)
        CHECK(!t->actors[i].waits_join && !t->actors[i].waits_sync);
    group_fini(&t->group);
    buf_fini(&t->said);
}

struct actor *troupe_actor(struct troupe *t, const char *name)
{
    for (uint32_t i = 0; i < t->actor_count; i++)
        if (strcmp(t->actors[i].name, name) == 0)
            return &t->actors[i];
    CHECK(t->actor_count < TROUPE_ACTORS);
    struct actor *a = &t->actors[t->actor_count++];
    *a = (struct actor){.session_ms = 10000, .rebalance_ms = 60000, .troupe = t};
    snprintf(a->name, sizeof a->name, "%s", name);
    snprintf(a->likes, sizeof a->likes, "range");
    snprintf(a->says, sizeof a->says, "topics");
    return a;
}

struct slice troupe_said(struct troupe *t)
{
    static char text[1 << 16];
    copy_text(text, sizeof text, buf_slice(&t->said));
    buf_reset(&t->said);
    return slice_str(text);
}

/* After every event: what was to be stored is, and the invariants hold. */
static void after(struct troupe *t)
{
    while (t->ticket && !t->hold)
        troupe_stored(t, KAFKA_NONE);
    group_check(&t->group);
}

void troupe_stored(struct troupe *t, enum kafka_error e)
{
    uint64_t ticket = t->ticket;
    t->ticket = 0;
    group_stored(&t->group, ticket, e, t->now_ms);
    group_check(&t->group);
}

/* ---- what actors do --------------------------------------------------------------------------------------------------- */

void troupe_join(struct troupe *t, const char *name)
{
    struct actor *a = troupe_actor(t, name);
    struct group_protocol protocols[8];
    uint32_t count = 0;
    char likes[64], id[32], *rest = likes;
    snprintf(likes, sizeof likes, "%s", a->likes);
    snprintf(id, sizeof id, "%s-%u", name, ++t->ids);
    for (char *p; (p = strsep(&rest, ","));)
        protocols[count++] = (struct group_protocol){slice_str(p), slice_str(a->says)};
    struct group_join j = {.member_id = slice_str(a->id),
                           .new_id = slice_str(id),
                           .instance_id = a->instance[0] ? slice_str(a->instance) : SLICE_EMPTY,
                           .client_id = slice_str(name),
                           .protocol_type = SLICE("consumer"),
                           .protocols = protocols,
                           .protocol_count = count,
                           .session_timeout_ms = a->session_ms,
                           .rebalance_timeout_ms = a->rebalance_ms,
                           .must_know_id = !a->old,
                           .skips = a->skips};
    a->waits_join = true;
    group_join(&t->group, &j, t->now_ms, a);
    after(t);
}

void troupe_enter(struct troupe *t, const char *name)
{
    if (troupe_actor(t, name)->waits_join)
        return;
    troupe_join(t, name);
    if (troupe_actor(t, name)->last == KAFKA_MEMBER_ID_REQUIRED && !troupe_actor(t, name)->waits_join)
        troupe_join(t, name);
}

void troupe_sync(struct troupe *t, const char *name, const char *assignments)
{
    struct actor *a = troupe_actor(t, name);
    struct group_assignment list[TROUPE_ACTORS];
    uint32_t count = 0;
    char text[1024], *rest = text;
    snprintf(text, sizeof text, "%s", assignments);
    for (char *p; assignments[0] && (p = strsep(&rest, ","));) {
        char *value = strchr(p, '=');
        *value++ = '\0';
        list[count++] = (struct group_assignment){slice_str(troupe_actor(t, p)->id), slice_str(value)};
    }
    struct group_sync s = {.member_id = slice_str(a->id),
                           .instance_id = a->instance[0] ? slice_str(a->instance) : SLICE_EMPTY,
                           .generation = a->generation,
                           .assignments = list,
                           .assignment_count = count};
    a->waits_sync = true;
    group_sync(&t->group, &s, t->now_ms, a);
    after(t);
}

static struct slice instance_of(const struct actor *a)
{
    return a->instance[0] ? slice_str(a->instance) : SLICE_EMPTY;
}

enum kafka_error troupe_beat(struct troupe *t, const char *name)
{
    struct actor *a = troupe_actor(t, name);
    enum kafka_error e = group_heartbeat(&t->group, slice_str(a->id), instance_of(a), a->generation, t->now_ms);
    after(t);
    return e;
}

enum kafka_error troupe_leave(struct troupe *t, const char *name)
{
    struct actor *a = troupe_actor(t, name);
    enum kafka_error e = group_leave(&t->group, slice_str(a->id), instance_of(a), t->now_ms);
    after(t);
    a->id[0] = '\0';
    a->generation = 0;
    return e;
}

enum kafka_error troupe_commit(struct troupe *t, const char *name)
{
    struct actor *a = troupe_actor(t, name);
    enum kafka_error e = group_may_commit(&t->group, slice_str(a->id), instance_of(a), a->generation, t->now_ms);
    after(t);
    return e;
}

void troupe_vanish(struct troupe *t, const char *name)
{
    struct actor *a = troupe_actor(t, name);
    a->waits_join = a->waits_sync = false;
    group_abandon(&t->group, a, t->now_ms);
    after(t);
}

void troupe_pass(struct troupe *t, uint64_t ms)
{
    uint64_t until = t->now_ms + ms;
    for (uint64_t due; (due = group_due_ms(&t->group)) <= until;) {
        t->now_ms = due > t->now_ms ? due : t->now_ms;
        group_tick(&t->group, t->now_ms);
        after(t);
        CHECK(group_due_ms(&t->group) > t->now_ms); /* what was due is done */
    }
    t->now_ms = until;
}
