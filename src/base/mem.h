/* The one place that calls malloc. Every allocation is counted, and a test can make the n-th fail.
 *
 * Thread: any. The counters and the failure plan belong to the calling thread, so that a replayed unit test sees only its own
 * allocations; mem_live() is the exception and counts the process, and so does the fault point mem.alloc (fault.h), with which
 * the n-th allocation of any thread fails. */
#ifndef PRISM_BASE_MEM_H
#define PRISM_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NULL when memory is out; never for size 0. */
void *mem_alloc(size_t size) __attribute__((malloc, warn_unused_result));
void *mem_zalloc(size_t size) __attribute__((malloc, warn_unused_result));
/* As realloc: on failure the old block stays. */
void *mem_realloc(void *old, size_t size) __attribute__((warn_unused_result));
void mem_free(void *block); /* NULL is fine */
char *mem_strdup(const char *text) __attribute__((malloc, warn_unused_result));

/* Allocations made by this thread since it started (realloc of an existing block counts). */
uint64_t mem_thread_count(void);
/* Blocks alive in the process. */
int64_t mem_live(void);
/* The n-th allocation from now on this thread fails (1: the next); with forever also all after it. 0 switches off. */
void mem_fail_at(uint64_t n, bool forever);
/* Whether an allocation has failed by plan since mem_fail_at. */
bool mem_failed(void);

#endif
