/* Unit tests: one program a file, nothing to register anywhere.
 *
 *   TEST(slice_compares_bytewise) { CHECK(slice_cmp(a, b) < 0); CHECK_EQ(n, 3); CHECK_STR(text, "x"); }
 *
 *   SCENARIO(arena_copies) { ...; return err; }
 *       Run once and must return OK; then once for every allocation that it makes with that one failing, and once more with
 *       that one and all later ones failing: it must then return OK or ERR_NOMEM, leak nothing, and crash never.
 *
 * Checks print file, line and values and end the program's run of that test. */
#ifndef PRISM_TESTS_HARNESS_H
#define PRISM_TESTS_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/slice.h"

struct test {
    const char *name;
    void (*run)(void);
    enum err (*scenario)(void);
    struct test *next;
};
void test_register(struct test *);
_Noreturn void test_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Runs fn and says whether none of its checks failed; else said has the first that did, and nothing is printed. */
bool test_passes(void (*fn)(void *context), void *context, char *said, size_t size);

#define TEST(id)                                                                                                       \
    static void id(void);                                                                                              \
    __attribute__((constructor)) static void register_##id(void)                                                       \
    {                                                                                                                  \
        static struct test t = {.name = #id, .run = id};                                                               \
        test_register(&t);                                                                                             \
    }                                                                                                                  \
    static void id(void)

#define SCENARIO(id)                                                                                                   \
    static enum err id(void);                                                                                          \
    __attribute__((constructor)) static void register_##id(void)                                                       \
    {                                                                                                                  \
        static struct test t = {.name = #id, .scenario = id};                                                          \
        test_register(&t);                                                                                             \
    }                                                                                                                  \
    static enum err id(void)

#define CHECK(condition) ((condition) ? (void)0 : test_fail(__FILE__, __LINE__, "not true: %s", #condition))
#define CHECK_EQ(a, b) test_check_eq((long long)(a), (long long)(b), #a, #b, __FILE__, __LINE__)
#define CHECK_STR(a, b) test_check_slice(slice_str(a), slice_str(b), #a, __FILE__, __LINE__)
#define CHECK_SLICE(a, b) test_check_slice((a), (b), #a, __FILE__, __LINE__)
#define CHECK_ERR(a, b) test_check_err((a), (b), #a, __FILE__, __LINE__)

void test_check_eq(long long a, long long b, const char *a_text, const char *b_text, const char *file, int line);
void test_check_slice(struct slice a, struct slice b, const char *text, const char *file, int line);
void test_check_err(enum err a, enum err b, const char *text, const char *file, int line);

#endif
