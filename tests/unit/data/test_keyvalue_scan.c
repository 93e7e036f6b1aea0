/* Ranges and pages, walked over a sorted array instead of a store. */
#include "../harness.h"
#include "data/keyvalue.h"
#include "fake_call.h"
#include "prism/keyvalue/v1/keyvalue_scan.ops.h"

#include <stdio.h>

enum { KEYS = 300 };

/* A backend that keeps its items sorted in an array. */
struct shelf {
    struct backend base;
    char keys[KEYS][8];
    struct kv_item items[KEYS];
    unsigned count;
};

static const struct kv_item *nearest(const struct shelf *shelf, const struct kv_scan *s)
{
    const struct kv_item *found = NULL;
    for (unsigned i = 0; i < shelf->count; i++) {
        const struct kv_item *item = &shelf->items[i];
        if (kv_range_has(&s->range, item->key) && (!found || s->reverse))
            found = item;
    }
    return found;
}

static void walk(struct call *call);

static void end_walk(struct call *call, enum err e)
{
    kv_scan_fini(call->driver);
    call_end(call, e);
}

/* Whether the walk goes on at once. */
static bool send_page(struct call *call, bool more)
{
    enum err e;
    enum call_flow flow = kv_scan_flush(call->driver, more, &e);
    if (e || !more) {
        end_walk(call, e);
        return false;
    }
    call->on_resume = walk;
    return flow == CALL_GO;
}

static void walk(struct call *call)
{
    const struct shelf *shelf = (const struct shelf *)call->ns->backend;
    for (;;) {
        const struct kv_item *item = nearest(shelf, call->driver);
        enum err e = OK;
        enum kv_scan_state state = item ? kv_scan_add(call->driver, item, &e) : KV_SCAN_DONE;
        if (e) {
            end_walk(call, e);
            return;
        }
        if (state != KV_SCAN_MORE && !send_page(call, state == KV_SCAN_FLUSH_FIRST))
            return;
    }
}

static void begin(struct call *call)
{
    struct kv_scan *scan;
    enum err e = kv_scan_begin(call, &scan);
    if (e) {
        call_end(call, e);
        return;
    }
    call->driver = scan;
    walk(call);
}

static void scan(struct backend *b, struct call *call, const struct keyvalue_scan_request *r)
{
    (void)b, (void)r;
    begin(call);
}

static void scan_keys(struct backend *b, struct call *call, const struct keyvalue_scan_keys_request *r)
{
    (void)b, (void)r;
    begin(call);
}

static const struct keyvalue_scan_ops ops = {.scan = scan, .scan_keys = scan_keys};
static const struct driver shelf_driver = {.name = "shelf", .implements = {[INTERFACE_KEYVALUE_SCAN] = &ops}};

struct fixture {
    struct namespace ns;
    struct shelf shelf;
    struct fake_call call;
};

static void fixture_init(struct fixture *f, unsigned count)
{
    memset(f, 0, sizeof *f);
    fake_namespace_init(&f->ns, "n");
    fake_call_init(&f->call, &f->ns, NULL);
    f->shelf.base.driver = &shelf_driver;
    f->shelf.count = count;
    for (unsigned i = 0; i < count; i++) {
        snprintf(f->shelf.keys[i], sizeof f->shelf.keys[i], "k%03u", i);
        f->shelf.items[i] = (struct kv_item){
            .key = slice_str(f->shelf.keys[i]), .value = SLICE("v"), .version = SLICE("1"), .expires_ms = KV_NEVER};
    }
    f->ns.backend = &f->shelf.base;
}

static const struct keyvalue_scan_response *page(const struct fixture *f, unsigned i)
{
    return f->call.messages[i];
}

static struct slice page_key(const struct keyvalue_scan_response *page, unsigned i)
{
    return PB_AT(page->items, struct keyvalue_key_value_item *, i)->key;
}

/* --- ranges --- */

static void check_prefix_end(struct slice prefix, bool has_end, struct slice end)
{
    struct arena arena;
    struct kv_range range;
    arena_init(&arena, 1 << 20);
    CHECK_ERR(kv_range_make(prefix, SLICE_EMPTY, SLICE_EMPTY, &arena, NULL, &range), OK);
    CHECK_SLICE(range.start, prefix);
    CHECK_EQ(range.has_end, has_end);
    if (has_end)
        CHECK_SLICE(range.end, end);
    arena_fini(&arena);
}

TEST(prefix_becomes_a_range)
{
    check_prefix_end(SLICE("ab"), true, SLICE("ac"));
    check_prefix_end(SLICE("a\xFF"), true, SLICE("b"));
    check_prefix_end(SLICE("a\xFF\xFF"), true, SLICE("b"));
    check_prefix_end(SLICE("%"), true, SLICE("&"));
    check_prefix_end(SLICE("\0"), true, SLICE("\x01"));
    check_prefix_end(SLICE("\xFF\xFF"), false, SLICE_EMPTY);
    check_prefix_end(SLICE_EMPTY, false, SLICE_EMPTY);
}

static enum err range(struct slice prefix, struct slice start, struct slice end, const char *field)
{
    struct arena arena;
    struct diag diag;
    struct kv_range r;
    arena_init(&arena, 1 << 20);
    diag_init(&diag, &arena);
    enum err e = kv_range_make(prefix, start, end, &arena, &diag, &r);
    if (e)
        CHECK_STR(diag.fields->name, field);
    arena_fini(&arena);
    return e;
}

TEST(ranges_that_make_no_sense_are_refused)
{
    static const char long_key[LIMIT_KEY_BYTES + 1];
    struct slice too_long = slice_of(long_key, sizeof long_key);
    CHECK_ERR(range(SLICE("p"), SLICE("a"), SLICE_EMPTY, "prefix"), ERR_RANGE_INVALID);
    CHECK_ERR(range(SLICE("p"), SLICE_EMPTY, SLICE("b"), "prefix"), ERR_RANGE_INVALID);
    CHECK_ERR(range(SLICE_EMPTY, SLICE("b"), SLICE("a"), "start"), ERR_RANGE_INVALID);
    CHECK_ERR(range(SLICE_EMPTY, SLICE("b"), SLICE("b"), ""), OK);
    CHECK_ERR(range(too_long, SLICE_EMPTY, SLICE_EMPTY, "prefix"), ERR_RANGE_INVALID);
    CHECK_ERR(range(SLICE_EMPTY, too_long, SLICE_EMPTY, "start"), ERR_RANGE_INVALID);
    CHECK_ERR(range(SLICE_EMPTY, SLICE_EMPTY, too_long, "end"), ERR_RANGE_INVALID);
}

/* --- pages --- */

TEST(an_empty_range_has_one_empty_page)
{
    struct fixture f;
    fixture_init(&f, 3);
    struct keyvalue_scan_request r = {.prefix = SLICE("nothing")};
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &r);
    CHECK_ERR(f.call.err, OK);
    CHECK_EQ(f.call.count, 1);
    CHECK(page(&f, 0)->items.count == 0 && page(&f, 0)->next_cursor.size == 0 && page(&f, 0)->ordered);
    fake_call_fini(&f.call);
}

TEST(pages_have_100_items_and_the_last_one_no_cursor)
{
    struct fixture f;
    fixture_init(&f, KEYS);
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &(struct keyvalue_scan_request){0});
    CHECK_ERR(f.call.err, OK);
    CHECK_EQ(f.call.count, 3);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(page(&f, i)->items.count, 100);
        CHECK_EQ(page(&f, i)->next_cursor.size > 0, i < 2);
    }
    CHECK_SLICE(page_key(page(&f, 2), 99), SLICE("k299"));
    fake_call_fini(&f.call);
}

TEST(held_pages_come_after_resume)
{
    struct fixture f;
    fixture_init(&f, KEYS);
    f.call.hold = true;
    struct keyvalue_scan_request r = {.page_size = 7, .reverse = true};
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &r);
    CHECK_ERR(f.call.err, OK);
    CHECK_EQ(f.call.count, (KEYS + 6) / 7);
    CHECK_SLICE(page_key(page(&f, 0), 0), SLICE("k299"));
    CHECK_SLICE(page_key(page(&f, 1), 0), SLICE("k292"));
    fake_call_fini(&f.call);
}

/* Every page is asked for by a call of its own, with other page sizes and by turns as Scan and ScanKeys. */
static void check_continued(bool reverse)
{
    struct fixture f;
    uint8_t kept[LIMIT_CURSOR_BYTES];
    unsigned seen = 0;
    struct slice cursor = SLICE_EMPTY;
    fixture_init(&f, 50);
    do {
        struct keyvalue_scan_request all = {
            .reverse = reverse, .cursor = cursor, .page_size = 1 + seen % 4, .limit = 40};
        struct keyvalue_scan_keys_request keys = {.reverse = reverse, .cursor = cursor, .page_size = 3, .limit = 40};
        struct slice first;
        unsigned count;
        if (seen % 2) {
            fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN_KEYS, &keys);
            const struct keyvalue_scan_keys_response *p = f.call.messages[0];
            first = PB_AT(p->keys, struct slice, 0), count = p->keys.count, cursor = p->next_cursor;
        } else {
            fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &all);
            const struct keyvalue_scan_response *p = f.call.messages[0];
            first = page_key(p, 0), count = p->items.count, cursor = p->next_cursor;
        }
        CHECK_ERR(f.call.err, OK);
        CHECK_SLICE(first, f.shelf.items[reverse ? 49 - seen : seen].key);
        seen += count;
        memcpy(kept, cursor.data ? cursor.data : kept, cursor.size);
        cursor.data = kept;
    } while (cursor.size);
    CHECK_EQ(seen, 40);
    fake_call_fini(&f.call);
}

TEST(cursors_continue_and_carry_the_limit)
{
    check_continued(false);
    check_continued(true);
}

TEST(cursors_belong_to_range_and_direction)
{
    struct fixture f;
    uint8_t kept[LIMIT_CURSOR_BYTES];
    fixture_init(&f, 50);
    struct keyvalue_scan_request r = {.prefix = SLICE("k"), .page_size = 10};
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &r);
    struct slice cursor = page(&f, 0)->next_cursor;
    memcpy(kept, cursor.data, cursor.size);
    r.cursor = slice_of(kept, cursor.size);
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &r);
    CHECK_ERR(f.call.err, OK);
    r.reverse = true;
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &r);
    CHECK_ERR(f.call.err, ERR_CURSOR_OTHER_SCAN);
    r.reverse = false;
    r.prefix = SLICE("k0");
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &r);
    CHECK_ERR(f.call.err, ERR_CURSOR_OTHER_SCAN);
    r.prefix = SLICE("k");
    kept[3] ^= 1;
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &r);
    CHECK_ERR(f.call.err, ERR_CURSOR_INVALID);
    fake_call_fini(&f.call);
}

/* Values of 300 KiB: three to a page; one above the size of a page comes alone. */
TEST(pages_end_at_1_mib)
{
    static uint8_t big[LIMIT_PAGE_BYTES * 2];
    struct fixture f;
    fixture_init(&f, 8);
    for (unsigned i = 0; i < 8; i++)
        f.shelf.items[i].value = slice_of(big, i == 4 ? sizeof big : 300 << 10);
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &(struct keyvalue_scan_request){0});
    CHECK_ERR(f.call.err, OK);
    static const unsigned counts[] = {3, 1, 1, 3};
    CHECK_EQ(f.call.count, 4);
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(page(&f, i)->items.count, counts[i]);
        CHECK(i == 2 || pb_encoded_size(&keyvalue_scan_response_pb, page(&f, i)) <= LIMIT_PAGE_BYTES + 256);
    }
    fake_call_fini(&f.call);
}

TEST(a_limit_ends_the_scan_without_a_cursor)
{
    struct fixture f;
    fixture_init(&f, KEYS);
    struct keyvalue_scan_request r = {.limit = 150};
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &r);
    CHECK_EQ(f.call.count, 2);
    CHECK_EQ(page(&f, 1)->items.count, 50);
    CHECK_EQ(page(&f, 1)->next_cursor.size, 0);
    fake_call_fini(&f.call);
}

SCENARIO(scans_survive_without_memory)
{
    struct fixture f;
    fixture_init(&f, 30);
    struct keyvalue_scan_request r = {.prefix = SLICE("k"), .page_size = 10};
    fake_call(&f.call, METHOD_KEYVALUE_SCAN_SCAN, &r);
    enum err e = f.call.err;
    if (!e)
        CHECK_EQ(f.call.count, 3);
    fake_call_fini(&f.call);
    return e;
}
