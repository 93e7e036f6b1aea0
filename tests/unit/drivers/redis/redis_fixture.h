/* A backend on a redis-server of its own: Debian's, on a unix socket in a folder below /tmp, ended with the fixture. */
#ifndef PRISM_TESTS_REDIS_FIXTURE_H
#define PRISM_TESTS_REDIS_FIXTURE_H

#include "../../data/fake_call.h"
#include "../../harness.h"
#include "drivers/redis/redis.h"

struct fixture {
    struct env env; /* the machine's, with a clock that can be moved forward */
    struct namespace ns;
    struct config_backend backend;
    struct config_redis_options options;
    char folder[64], socket[96], connection[112];
    int server; /* pid; 0: none */
    struct loop *loop;
    struct arena arena;
    struct diag diag; /* of open */
    struct fake_call call;
};

/* Folder, loop, server; nothing is opened. */
void redis_fixture_init(struct fixture *);
void redis_fixture_server_start(struct fixture *);
void redis_fixture_server_stop(struct fixture *); /* kill -9 */
/* Opens the backend as ns.backend. */
enum err redis_fixture_open(struct fixture *);
void redis_fixture_close(struct fixture *);
void redis_fixture_fini(struct fixture *);
/* init and open, which must work. */
void redis_fixture_begin(struct fixture *);

uint64_t redis_fixture_stat(struct fixture *, const char *name);
enum err redis_fixture_set(struct fixture *, const char *key, const char *value);
/* NULL: not there. */
const struct keyvalue_get_response *redis_fixture_get(struct fixture *, const char *key);

#endif
