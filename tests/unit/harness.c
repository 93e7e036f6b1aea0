#include "harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

static struct test *tests;
static jmp_buf *failed;   /* where a check that fails goes */
static char *failed_said; /* NULL: to standard error */
static size_t failed_size;

void test_register(struct test *t)
{
    struct test **end = &tests;
    while (*end)
        end = &(*end)->next;
    *end = t;
}

void test_fail(const char *file, int line, const char *format, ...)
{
    mem_fail_at(0, false);
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (failed_said)
        snprintf(failed_said, failed_size, "%s:%d: %s", file, line, text);
    else
        fprintf(stderr, "%s:%d: %s\n", file, line, text);
    longjmp(*failed, 1);
}

bool test_passes(void (*fn)(void *context), void *context, char *said, size_t size)
{
    jmp_buf here, *outer = failed;
    char *outer_said = failed_said;
    size_t outer_size = failed_size;
    failed_said = said;
    failed_size = size;
    failed = &here;
    bool passed = setjmp(here) == 0;
    if (passed)
        fn(context);
    failed = outer;
    failed_said = outer_said;
    failed_size = outer_size;
    return passed;
}

void test_check_eq(long long a, long long b, const char *a_text, const char *b_text, const char *file, int line)
{
    if (a != b)
        test_fail(file, line, "%s is %lld, %s is %lld", a_text, a, b_text, b);
}

void test_check_slice(struct slice a, struct slice b, const char *text, const char *file, int line)
{
    if (!slice_eq(a, b))
        test_fail(file, line, "%s is \"%.*s\" (%zu bytes), expected \"%.*s\" (%zu bytes)", text, SLICE_ARG(a), a.size,
                  SLICE_ARG(b), b.size);
}

void test_check_err(enum err a, enum err b, const char *text, const char *file, int line)
{
    if (a != b)
        test_fail(file, line, "%s is %s, expected %s", text, err_name(a), err_name(b));
}

static void replay(const struct test *t, uint64_t n, bool forever)
{
    int64_t live = mem_live();
    mem_fail_at(n, forever);
    enum err e = t->scenario();
    bool hit = mem_failed();
    mem_fail_at(0, false);
    if (e != OK && e != ERR_NOMEM)
        test_fail(t->name, 0, "allocation %llu failing%s: %s", (unsigned long long)n, forever ? " and all later" : "",
                  err_name(e));
    if (e == ERR_NOMEM && !hit)
        test_fail(t->name, 0, "ERR_NOMEM although no allocation failed");
    if (mem_live() != live)
        test_fail(t->name, 0, "allocation %llu failing%s: %lld blocks leaked", (unsigned long long)n,
                  forever ? " and all later" : "", (long long)(mem_live() - live));
}

static void run_scenario(const struct test *t)
{
    int64_t live = mem_live();
    uint64_t before = mem_thread_count();
    enum err e = t->scenario();
    uint64_t allocations = mem_thread_count() - before;
    if (e)
        test_fail(t->name, 0, "%s without any failing allocation", err_name(e));
    if (mem_live() != live)
        test_fail(t->name, 0, "%lld blocks leaked", (long long)(mem_live() - live));
    for (uint64_t n = 1; n <= allocations; n++) {
        replay(t, n, false);
        replay(t, n, true);
    }
}

static bool passes(const struct test *t)
{
    jmp_buf here;
    failed = &here;
    if (setjmp(here))
        return false;
    if (t->scenario)
        run_scenario(t);
    else
        t->run();
    return true;
}

/* usage: test_x [PART OF A NAME] */
int main(int argc, char **argv)
{
    int passed = 0, bad = 0;
    for (const struct test *t = tests; t; t = t->next) {
        if (argc > 1 && !strstr(t->name, argv[1]))
            continue;
        if (passes(t)) {
            passed++;
        } else {
            fprintf(stderr, "FAILED: %s\n", t->name);
            bad++;
        }
    }
    printf("%d passed, %d failed\n", passed, bad);
    return bad ? 1 : passed == 0;
}
