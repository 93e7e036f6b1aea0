/* The checks of tests/unit/harness.h for fuzzers that borrow from unit tests: one that fails ends the process. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "../unit/harness.h"

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, args);
    va_end(args);
    abort();
}

void test_check_eq(long long a, long long b, const char *a_text, const char *b_text, const char *file, int line)
{
    if (a != b)
        test_fail(file, line, "%s is %lld, %s is %lld\n", a_text, a, b_text, b);
}

void test_check_err(enum err a, enum err b, const char *text, const char *file, int line)
{
    if (a != b)
        test_fail(file, line, "%s is %s, expected %s\n", text, err_name(a), err_name(b));
}
