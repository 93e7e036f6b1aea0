/* Transactions: each sees what was there when it began, and the first that commits wins. */
#include "model_internal.h"

static void begin(struct model *m, struct transaction *x)
{
    struct keyvalue_begin_transaction_request r = {0};
    note(m, "begin transaction %td", x - m->transactions);
    const struct keyvalue_begin_transaction_response *answer =
        fake_call(&m->call, METHOD_KEYVALUE_TRANSACTIONAL_BEGIN_TRANSACTION, &r);
    REQUIRE_ERR(m, OK);
    *x = (struct transaction){.open = true, .begun = m->step, .id_size = answer->transaction_id.size};
    REQUIRE(m, x->id_size && x->id_size <= sizeof x->id);
    memcpy(x->id, answer->transaction_id.data, x->id_size);
    memcpy(x->seen, m->items, sizeof x->seen);
}

static void set_in(struct model *m, struct transaction *x)
{
    unsigned k = (unsigned)roll(m, KEYS);
    note(m, "set k%u in transaction %td", k, x - m->transactions);
    struct new_item n;
    random_item(m, &n);
    struct keyvalue_set_in_transaction_request r = {.transaction_id = slice_of(x->id, x->id_size),
                                                    .key = m->keys[k],
                                                    .value = value_of(&n.item, m->value),
                                                    .tags = n.tag_array,
                                                    .ttl = n.ttl_or_null ? &n.ttl : NULL};
    fake_call(&m->call, METHOD_KEYVALUE_TRANSACTIONAL_SET_IN_TRANSACTION, &r);
    REQUIRE_ERR(m, OK);
    x->wrote[k] = true;
    x->own[k] = n.item;
}

static const struct item *seen_by(const struct transaction *x, unsigned k)
{
    return x->wrote[k] ? &x->own[k] : &x->seen[k];
}

static void get_in(struct model *m, struct transaction *x)
{
    unsigned k = (unsigned)roll(m, KEYS);
    note(m, "get k%u in transaction %td", k, x - m->transactions);
    struct keyvalue_get_in_transaction_request r = {.transaction_id = slice_of(x->id, x->id_size), .key = m->keys[k]};
    const struct keyvalue_get_in_transaction_response *answer =
        fake_call(&m->call, METHOD_KEYVALUE_TRANSACTIONAL_GET_IN_TRANSACTION, &r);
    REQUIRE_ERR(m, OK);
    const struct item *want = seen_by(x, k);
    REQUIRE(m, answer->found == is_there(m, want));
    if (answer->found)
        check_item(m, want, answer->value, answer->version, answer->expires_at, answer->tags);
}

static void delete_in(struct model *m, struct transaction *x)
{
    unsigned k = (unsigned)roll(m, KEYS);
    note(m, "delete k%u in transaction %td", k, x - m->transactions);
    struct keyvalue_delete_in_transaction_request r = {.transaction_id = slice_of(x->id, x->id_size),
                                                       .key = m->keys[k]};
    const struct keyvalue_delete_in_transaction_response *answer =
        fake_call(&m->call, METHOD_KEYVALUE_TRANSACTIONAL_DELETE_IN_TRANSACTION, &r);
    REQUIRE_ERR(m, OK);
    REQUIRE(m, answer->existed == is_there(m, seen_by(x, k)));
    x->wrote[k] = true;
    x->own[k] = (struct item){0};
}

enum verdict { COMMITS, CONFLICTS, EITHER };

static enum verdict judge(const struct model *m, const struct transaction *x)
{
    enum verdict v = COMMITS;
    for (unsigned k = 0; k < KEYS; k++) {
        if (x->wrote[k] && m->items[k].written > x->begun)
            return CONFLICTS;
        bool maybe = m->items[k].touched > x->begun || m->items[k].expires_ms <= now_ms(m);
        if (x->wrote[k] && maybe)
            v = EITHER;
        if (m->subject->wide_conflicts && m->items[k].written > x->begun)
            v = EITHER;
    }
    return v;
}

static void apply(struct model *m, const struct transaction *x, struct slice version)
{
    for (unsigned k = 0; k < KEYS; k++) {
        if (!x->wrote[k])
            continue;
        if (x->own[k].present)
            store(m, k, &x->own[k], version);
        else if (is_there(m, &m->items[k]))
            remove_item(m, k);
        m->items[k].touched = m->step;
    }
}

static void commit(struct model *m, struct transaction *x)
{
    struct keyvalue_commit_request r = {.transaction_id = slice_of(x->id, x->id_size)};
    enum verdict v = judge(m, x);
    note(m, "commit transaction %td", x - m->transactions);
    x->open = false;
    const struct keyvalue_commit_response *answer = fake_call(&m->call, METHOD_KEYVALUE_TRANSACTIONAL_COMMIT, &r);
    if (v == CONFLICTS || (v == EITHER && m->call.err)) {
        REQUIRE_ERR(m, ERR_TRANSACTION_CONFLICT);
        REQUIRE(m, m->call.call.diag.retry_after_ms > 0);
        return;
    }
    REQUIRE_ERR(m, OK);
    apply(m, x, answer->version);
}

static void rollback(struct model *m, struct transaction *x)
{
    struct keyvalue_rollback_request r = {.transaction_id = slice_of(x->id, x->id_size)};
    x->open = false;
    note(m, "roll back transaction %td", x - m->transactions);
    fake_call(&m->call, METHOD_KEYVALUE_TRANSACTIONAL_ROLLBACK, &r);
    REQUIRE_ERR(m, OK);
    fake_call(&m->call, METHOD_KEYVALUE_TRANSACTIONAL_COMMIT,
              &(struct keyvalue_commit_request){.transaction_id = r.transaction_id});
    REQUIRE_ERR(m, ERR_TRANSACTION_UNKNOWN);
}

void do_transaction(struct model *m)
{
    struct transaction *x = &m->transactions[roll(m, TRANSACTIONS)];
    uint64_t kind = roll(m, 20);
    if (!x->open)
        begin(m, x);
    else if (kind < 8)
        set_in(m, x);
    else if (kind < 14)
        get_in(m, x);
    else if (kind < 17)
        delete_in(m, x);
    else if (kind < 19)
        commit(m, x);
    else
        rollback(m, x);
}

void end_transactions(struct model *m)
{
    for (unsigned i = 0; i < TRANSACTIONS; i++)
        if (m->transactions[i].open)
            rollback(m, &m->transactions[i]);
}

/* The store has been opened again: nobody knows them any more. */
void forget_transactions(struct model *m)
{
    for (unsigned i = 0; i < TRANSACTIONS; i++) {
        struct transaction *x = &m->transactions[i];
        if (!x->open)
            continue;
        x->open = false;
        fake_call(&m->call, METHOD_KEYVALUE_TRANSACTIONAL_COMMIT,
                  &(struct keyvalue_commit_request){.transaction_id = slice_of(x->id, x->id_size)});
        REQUIRE_ERR(m, ERR_TRANSACTION_UNKNOWN);
    }
}
