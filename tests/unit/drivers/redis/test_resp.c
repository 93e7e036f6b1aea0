#include "../../harness.h"

#include "drivers/redis/resp.h"

static const struct resp_limits limits = {.bytes_max = 1000, .items_max = 100};

/* Feeds the bytes in pieces; the last reply. */
static enum err feed(struct resp_parser *p, const char *text, size_t piece, const struct resp **ret_reply,
                     unsigned *ret_count)
{
    struct slice bytes = slice_str(text);
    *ret_count = 0;
    while (bytes.size) {
        struct slice data = slice_take(bytes, piece);
        bytes = slice_skip(bytes, data.size);
        while (data.size) {
            bool done;
            enum err e = resp_feed(p, &data, ret_reply, &done);
            if (e)
                return e;
            *ret_count += done;
        }
    }
    return OK;
}

struct world {
    struct arena arena;
    struct resp_parser parser;
    const struct resp *reply;
    unsigned count;
};

static enum err read_pieces(struct world *w, const char *text, size_t piece)
{
    arena_init(&w->arena, 1 << 20);
    resp_init(&w->parser, limits);
    resp_begin(&w->parser, &w->arena);
    return feed(&w->parser, text, piece, &w->reply, &w->count);
}

static void end(struct world *w)
{
    resp_fini(&w->parser);
    arena_fini(&w->arena);
}

TEST(every_kind_is_read_in_pieces_of_any_size)
{
    const char *text = "*6\r\n+OK\r\n-ERR no\r\n:-42\r\n$5\r\na\r\nb\r\r\n$-1\r\n*2\r\n$0\r\n\r\n*-1\r\n";
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        struct world w;
        CHECK_ERR(read_pieces(&w, text, piece), OK);
        CHECK_EQ(w.count, 1);
        CHECK_EQ(w.reply->count, 6);
        CHECK_SLICE(resp_at(w.reply, 0)->text, SLICE("OK"));
        CHECK(resp_is_error(resp_at(w.reply, 1), "ERR"));
        CHECK(!resp_is_error(resp_at(w.reply, 1), "ER"));
        CHECK_EQ(resp_at(w.reply, 2)->integer, -42);
        CHECK_SLICE(resp_at(w.reply, 3)->text, SLICE("a\r\nb\r"));
        CHECK_EQ(resp_at(w.reply, 4)->kind, RESP_NIL);
        CHECK_EQ(resp_at(w.reply, 5)->count, 2);
        CHECK_EQ(resp_at(resp_at(w.reply, 5), 0)->kind, RESP_TEXT);
        CHECK_EQ(resp_at(resp_at(w.reply, 5), 1)->kind, RESP_NIL);
        CHECK_EQ(resp_at(w.reply, 6)->kind, RESP_NIL);
        end(&w);
    }
}

TEST(what_is_no_resp_is_refused)
{
    static const char *const wrong[] = {"hello\r\n",
                                        "\r\n",
                                        ":\r\n",
                                        ":12a\r\n",
                                        ":9223372036854775808\r\n",
                                        "$-2\r\n",
                                        "$1001\r\n",
                                        "*101\r\n",
                                        "$1\r\nab\r\n",
                                        "+OK\n",
                                        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
                                        "$99999999999999999999\r\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        for (size_t piece = 1; piece < 4; piece++) {
            struct world w;
            CHECK_ERR(read_pieces(&w, wrong[i], piece), ERR_BACKEND_LOST);
            end(&w);
        }
}

TEST(a_line_without_end_is_refused)
{
    struct world w;
    char line[1000];
    enum err e = OK;
    memset(line, 'x', sizeof line);
    line[0] = '+';
    arena_init(&w.arena, 1 << 20);
    resp_init(&w.parser, limits);
    resp_begin(&w.parser, &w.arena);
    for (int i = 0; i < 1000 && !e; i++) {
        struct slice data = slice_of(line, sizeof line);
        bool done;
        e = resp_feed(&w.parser, &data, &w.reply, &done);
    }
    CHECK_ERR(e, ERR_BACKEND_LOST);
    end(&w);
}

TEST(a_forgotten_reply_is_read_to_its_end)
{
    struct world w;
    unsigned count;
    CHECK_ERR(read_pieces(&w, "*2\r\n$3\r\nfoo\r\n$4\r\nba", 100), OK);
    CHECK_EQ(w.count, 0);
    resp_forget(&w.parser);
    CHECK_ERR(feed(&w.parser, "zz\r\n", 1, &w.reply, &count), OK);
    CHECK_EQ(count, 1);
    CHECK(w.reply == NULL);
    resp_begin(&w.parser, &w.arena);
    CHECK_ERR(feed(&w.parser, ":7\r\n", 1, &w.reply, &count), OK);
    CHECK_EQ(w.reply->integer, 7);
    end(&w);
}

TEST(a_reply_without_room_is_thrown_away)
{
    struct world w;
    unsigned count;
    arena_init(&w.arena, 64);
    resp_init(&w.parser, limits);
    resp_begin(&w.parser, &w.arena);
    CHECK_ERR(feed(&w.parser, "*3\r\n$3\r\nfoo\r\n$3\r\nbar\r\n:1\r\n", 5, &w.reply, &count), OK);
    CHECK_EQ(count, 1);
    CHECK(w.reply == NULL);
    end(&w);
}

TEST(commands_are_arrays_of_texts)
{
    struct arena arena;
    struct resp_command c;
    struct slice bytes;
    arena_init(&arena, 1 << 20);
    resp_command_init(&c, &arena);
    resp_put(&c, SLICE("SET"));
    resp_put(&c, SLICE("a\0b"));
    resp_put_integer(&c, -12);
    resp_put(&c, SLICE(""));
    CHECK_ERR(resp_command_finish(&c, &bytes), OK);
    CHECK_SLICE(bytes, SLICE("*4\r\n$3\r\nSET\r\n$3\r\na\0b\r\n$3\r\n-12\r\n$0\r\n\r\n"));
    arena_fini(&arena);
}

SCENARIO(replies_and_commands_out_of_memory)
{
    struct world w;
    struct resp_command c;
    struct slice bytes;
    enum err e = read_pieces(&w, "*2\r\n$3\r\nfoo\r\n$3\r\nbar\r\n", 3);
    if (!e && !w.reply)
        e = ERR_NOMEM;
    resp_command_init(&c, &w.arena);
    for (int i = 0; i < 100; i++)
        resp_put(&c, SLICE("word"));
    if (!e)
        e = resp_command_finish(&c, &bytes);
    end(&w);
    return e;
}
