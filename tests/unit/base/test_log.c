#include "../harness.h"
#include "base/limits.h"
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static int64_t fixed_time(void)
{
    return 1795178096789; /* 2026-11-20T12:34:56.789Z */
}

/* A log into a pipe, and what came out of it. */
struct tap {
    struct log log;
    int out;
    char text[65536];
};

static void tap_open(struct tap *t, bool text)
{
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    t->out = ends[0];
    log_init(&t->log, ends[1], LOG_INFO);
    CHECK(!t->log.text);
    t->log.text = text;
    t->log.realtime_ms = fixed_time;
}

static const char *tap_close(struct tap *t)
{
    close(t->log.fd);
    ssize_t size, total = 0;
    while ((size = read(t->out, t->text + total, sizeof t->text - 1 - (size_t)total)) > 0)
        total += size;
    t->text[total] = 0;
    close(t->out);
    return t->text;
}

static int evaluated(int *counter)
{
    return ++*counter;
}

TEST(log_writes_json_lines)
{
    struct tap t;
    tap_open(&t, false);
    log_info(&t.log, "hello \"you\"", LOG_TEXT("namespace", "orders"), LOG_INT("n", -5), LOG_BOOL("b", true),
             LOG_DOUBLE("latency_ms", 1.5), LOG_ERR(ERR_NOT_FOUND));
    log_error(&t.log, "bare");
    CHECK_STR(tap_close(&t),
              "{\"timestamp\":\"2026-11-20T12:34:56.789Z\",\"level\":\"info\",\"message\":\"hello \\\"you\\\"\","
              "\"namespace\":\"orders\",\"n\":-5,\"b\":true,\"latency_ms\":1.5,\"error\":\"NOT_FOUND\"}\n"
              "{\"timestamp\":\"2026-11-20T12:34:56.789Z\",\"level\":\"error\",\"message\":\"bare\"}\n");
}

TEST(log_for_people_lets_no_control_character_through)
{
    struct tap t;
    tap_open(&t, true);
    log_warn(&t.log, "one\x1B[2J", LOG_TEXT("a", "x-1"), LOG_TEXT("b", "two words"), LOG_TEXT("c", ""),
             LOG_TEXT("d", "\x1B[31m"), LOG_INT("e", 7));
    CHECK_STR(tap_close(&t), "12:34:56.789 warn  one\\u001b[2J a=x-1 b=\"two words\" c=\"\" d=\"\\u001b[31m\" e=7\n");
}

TEST(log_says_nothing_below_its_level_and_evaluates_nothing)
{
    struct tap t;
    int counter = 0;
    tap_open(&t, false);
    log_debug(&t.log, "no", LOG_INT("n", evaluated(&counter)));
    log_info(NULL, "no", LOG_INT("n", evaluated(&counter)));
    log_set_level(&t.log, LOG_OFF);
    log_error(&t.log, "no", LOG_INT("n", evaluated(&counter)));
    CHECK_STR(tap_close(&t), "");
    CHECK_EQ(counter, 0);
}

TEST(log_lines_are_whole_whatever_they_hold)
{
    struct tap t;
    static char big[8000];
    memset(big, 1, sizeof big - 1); /* six bytes each when escaped */
    tap_open(&t, false);
    log_info(&t.log, "big", LOG_INT("kept", 1), LOG_TEXT("left_out", big), LOG_INT("after", 2));
    memset(big, 'x', sizeof big - 1);
    log_info(&t.log, "cut", LOG_TEXT("v", big), LOG_TEXT("w", big));
    const char *text = tap_close(&t);
    const char *second = strchr(text, '\n');
    CHECK(second &&
          strstr(text, "\"kept\":1,\"truncated\":true}\n") == second - strlen("\"kept\":1,\"truncated\":true}"));
    CHECK_EQ(strlen(second + 1),
             strlen("{\"timestamp\":\"2026-11-20T12:34:56.789Z\",\"level\":\"info\",\"message\":\"cut\","
                    "\"v\":\"\",\"w\":\"\"}\n") +
                 2 * LIMIT_LOG_VALUE_BYTES);
    CHECK(strlen(second + 1) <= LIMIT_LOG_LINE_BYTES);
}

TEST(log_survives_the_longest_message)
{
    struct tap t;
    static char big[8000];
    memset(big, 1, sizeof big - 1);
    tap_open(&t, false);
    log_info(&t.log, big, LOG_TEXT("v", big));
    const char *text = tap_close(&t);
    CHECK(strlen(text) <= LIMIT_LOG_LINE_BYTES && text[strlen(text) - 2] == '}');
    CHECK(strstr(text, "\\u0001\"}") || strstr(text, "\\u0001\",\"truncated\":true}"));
}

TEST(log_counts_what_it_could_not_write)
{
    struct log log;
    log_init(&log, -1, LOG_INFO);
    log_info(&log, "lost");
    CHECK_EQ(atomic_load(&log.dropped), 1);
}

static void *chatter(void *context)
{
    for (int i = 0; i < 100; i++)
        log_info((struct log *)context, "a line that must not be torn", LOG_INT("i", i));
    return NULL;
}

TEST(log_lines_of_threads_do_not_mix)
{
    static struct tap t;
    pthread_t threads[4];
    tap_open(&t, false);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, chatter, &t.log), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    int lines = 0;
    char *rest = NULL;
    tap_close(&t);
    for (char *line = strtok_r(t.text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), lines++)
        CHECK(strncmp(line, "{\"timestamp\":", 13) == 0 && line[strlen(line) - 1] == '}');
    CHECK_EQ(lines, 400);
}

TEST(log_levels_have_names)
{
    enum log_level level = LOG_INFO;
    CHECK_ERR(log_level_parse("warn", &level), OK);
    CHECK(level == LOG_WARN && strcmp(log_level_name(level), "warn") == 0);
    CHECK_ERR(log_level_parse("loud", &level), ERR_INVALID_ARGUMENT);
    CHECK_EQ(level, LOG_WARN);
}
