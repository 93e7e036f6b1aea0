/* Files that something has damaged: a torn end is cut, all else is refused, with file and place. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../harness.h"
#include "base/mem.h"
#include "book.h"

enum { HEADER = 32, ENTRIES = 6, FRAME = 24 + 4 + 8 };

/* A closed ledger of six commits of one entry each. */
static void begin(struct book *b)
{
    CHECK_ERR(book_new(b, 1), OK);
    CHECK_ERR(book_open(b), OK);
    book_write(b, ENTRIES);
    book_close(b);
    CHECK_EQ(book_bytes(b).size, HEADER + ENTRIES * FRAME);
}

static struct slice changed(struct book *b, struct slice bytes, size_t at, uint8_t flip)
{
    struct slice copy;
    CHECK(arena_copy(&b->arena, bytes, &copy));
    ((uint8_t *)copy.data)[at] ^= flip;
    return copy;
}

static void check_goes_on(struct book *b, uint64_t kept)
{
    CHECK_EQ(b->applied, kept);
    b->appended = kept;
    book_write(b, 1);
    book_close(b);
    CHECK_ERR(book_open(b), OK);
    CHECK_EQ(b->applied, kept + 1);
    book_close(b);
}

TEST(a_torn_end_is_cut_wherever_it_is_torn)
{
    struct book b;
    begin(&b);
    struct slice whole = book_bytes(&b);
    for (size_t cut = 1; cut < FRAME; cut++) {
        struct ledger_counts c;
        book_replace(&b, slice_take(whole, whole.size - cut));
        b.last_acknowledged = 0;
        CHECK_ERR(book_open(&b), OK);
        ledger_counts(b.ledger, &c);
        CHECK_EQ(c.cut_bytes, FRAME - cut);
        check_goes_on(&b, ENTRIES - 1);
    }
    book_free(&b);
}

TEST(bytes_behind_the_end_are_cut)
{
    struct book b;
    begin(&b);
    struct slice whole = book_bytes(&b);
    for (size_t more = 1; more < 100; more += 7) {
        uint8_t *bytes = arena_alloc(&b.arena, whole.size + more);
        memcpy(bytes, whole.data, whole.size);
        memset(bytes + whole.size, more % 2 ? 0 : 0xAB, more);
        book_replace(&b, slice_of(bytes, whole.size + more));
        b.last_acknowledged = 0;
        CHECK_ERR(book_open(&b), OK);
        check_goes_on(&b, ENTRIES);
    }
    book_free(&b);
}

/* The last commit looks as if torn; before it, damage is refused and named. */
TEST(a_flipped_bit_is_found_wherever_it_is)
{
    struct book b;
    begin(&b);
    struct slice whole = book_bytes(&b);
    for (size_t at = 0; at < whole.size; at++) {
        book_replace(&b, changed(&b, whole, at, (uint8_t)(1 << at % 8)));
        enum err e = book_open(&b);
        if (at >= whole.size - FRAME) {
            CHECK_ERR(e, OK);
            CHECK_EQ(b.applied, ENTRIES - 1);
            book_close(&b);
            continue;
        }
        CHECK_ERR(e, ERR_CORRUPT);
        CHECK(strstr(diag_message(&b.diag), "/book is damaged") != NULL);
        CHECK_SLICE(book_bytes(&b), changed(&b, whole, at, (uint8_t)(1 << at % 8))); /* and left as it is */
    }
    book_free(&b);
}

TEST(damage_is_named_by_its_place)
{
    struct book b;
    begin(&b);
    book_replace(&b, changed(&b, book_bytes(&b), HEADER + 2 * FRAME + 30, 0x10));
    CHECK_ERR(book_open(&b), ERR_CORRUPT);
    CHECK_STR(diag_message(&b.diag), "/book is damaged at byte 104: what follows from byte 140 is whole");
    book_free(&b);
}

/* A disk that put a whole frame where another belongs, or kept an old one. */
TEST(a_frame_in_the_wrong_place_is_damage)
{
    struct book b;
    begin(&b);
    struct slice whole = book_bytes(&b), moved = changed(&b, whole, 0, 0);
    memcpy((uint8_t *)moved.data + HEADER + FRAME, whole.data + HEADER + 3 * FRAME, FRAME);
    book_replace(&b, moved);
    CHECK_ERR(book_open(&b), ERR_CORRUPT);
    book_free(&b);
}

TEST(another_kind_a_newer_version_and_no_ledger_at_all_are_refused)
{
    struct book b;
    begin(&b);
    uint64_t torn;
    CHECK_ERR(ledger_check(b.disk.under, b.path, SLICE("GRPS"), NULL, NULL, &b.diag, &torn), ERR_CORRUPT);
    CHECK_STR(diag_message(&b.diag), "/book is a ledger of kind BOOK, not GRPS");
    book_replace(&b, SLICE("CREATE TABLE this is something else altogether, and long"));
    CHECK_ERR(book_open(&b), ERR_CORRUPT);
    book_replace(&b, SLICE_EMPTY);
    CHECK_ERR(book_open(&b), ERR_CORRUPT);
    book_free(&b);
}

TEST(checking_tells_of_a_torn_end_and_changes_nothing)
{
    struct book b;
    begin(&b);
    uint64_t torn = 0;
    struct slice cut = slice_take(book_bytes(&b), HEADER + 5 * FRAME + 11);
    book_replace(&b, cut);
    CHECK_ERR(ledger_check(b.disk.under, b.path, SLICE("BOOK"), NULL, NULL, &b.diag, &torn), OK);
    CHECK_EQ(torn, 11);
    CHECK_SLICE(book_bytes(&b), cut);
    CHECK_ERR(ledger_check(b.disk.under, "/nothing", SLICE("BOOK"), NULL, NULL, &b.diag, &torn), ERR_NOT_FOUND);
    book_free(&b);
}

/* What cannot be opened is never replaced by a new one. */
TEST(what_is_there_but_cannot_be_opened_stays)
{
    struct book b;
    CHECK_ERR(book_new(&b, 0), OK);
    CHECK_EQ(mkdir(b.path, 0700), 0);
    CHECK_ERR(book_open(&b), ERR_FILE);
    CHECK_EQ(rmdir(b.path), 0);
    book_free(&b);
}
