#include "redis_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "data/keyvalue.h"

static bool answers(const struct fixture *f)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%s", f->socket);
    bool ok = connect(s, (struct sockaddr *)&to, sizeof to) == 0;
    close(s);
    return ok;
}

void redis_fixture_server_start(struct fixture *f)
{
    f->server = fork();
    CHECK(f->server >= 0);
    if (f->server == 0) {
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", f->socket, "--dir", f->folder, "--save",
               "", "--appendonly", "yes", "--logfile", "log", NULL);
        _exit(127);
    }
    for (int i = 0; i < 3000 && !answers(f); i++) {
        CHECK(waitpid(f->server, NULL, WNOHANG) == 0); /* is redis-server installed? tooling/setup */
        usleep(10000);
    }
}

void redis_fixture_server_stop(struct fixture *f)
{
    if (!f->server)
        return;
    kill(f->server, SIGKILL);
    CHECK_EQ(waitpid(f->server, NULL, 0), f->server);
    f->server = 0;
}

void redis_fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    strcpy(f->folder, "/tmp/prism-redis-XXXXXX");
    CHECK(mkdtemp(f->folder) != NULL);
    snprintf(f->socket, sizeof f->socket, "%s/socket", f->folder);
    snprintf(f->connection, sizeof f->connection, "unix:%s", f->socket);
    f->env = *env_real();
    fake_namespace_init(&f->ns, "test");
    f->backend.connection = slice_str(f->connection);
    f->backend.redis = &f->options;
    arena_init(&f->arena, 1 << 20);
    diag_init(&f->diag, &f->arena);
    CHECK_ERR(loop_new(env_real(), 0, &f->loop), OK);
    fake_call_init(&f->call, &f->ns, f->loop);
    redis_fixture_server_start(f);
}

enum err redis_fixture_open(struct fixture *f)
{
    struct backend_open open = {.namespace_name = "test",
                                .backend = &f->backend,
                                .data_dir = f->folder,
                                .env = &f->env,
                                .loops = 1,
                                .diag = &f->diag};
    return driver_redis.open(&open, &f->ns.backend);
}

void redis_fixture_close(struct fixture *f)
{
    if (!f->ns.backend)
        return;
    driver_redis.detach(f->ns.backend, f->loop);
    driver_redis.close(f->ns.backend);
    f->ns.backend = NULL;
}

void redis_fixture_fini(struct fixture *f)
{
    char command[128];
    redis_fixture_close(f);
    fake_call_fini(&f->call);
    loop_free(f->loop);
    arena_fini(&f->arena);
    redis_fixture_server_stop(f);
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    CHECK(system(command) == 0);
}

void redis_fixture_begin(struct fixture *f)
{
    redis_fixture_init(f);
    enum err e = redis_fixture_open(f);
    if (e)
        test_fail(__FILE__, __LINE__, "open: %s", diag_message(&f->diag));
}

struct wanted {
    const char *name;
    uint64_t value;
    bool found;
};

static void take_stat(void *context, const char *name, uint64_t value)
{
    struct wanted *w = context;
    if (strcmp(name, w->name) == 0)
        *w = (struct wanted){name, value, true};
}

uint64_t redis_fixture_stat(struct fixture *f, const char *name)
{
    struct wanted w = {.name = name};
    driver_redis.stats(f->ns.backend, take_stat, &w);
    CHECK(w.found);
    return w.value;
}

enum err redis_fixture_set(struct fixture *f, const char *key, const char *value)
{
    struct keyvalue_set_request r = {.key = slice_str(key), .value = slice_str(value)};
    fake_call(&f->call, METHOD_KEYVALUE_BASIC_SET, &r);
    return f->call.err;
}

const struct keyvalue_get_response *redis_fixture_get(struct fixture *f, const char *key)
{
    struct keyvalue_get_request r = {.key = slice_str(key)};
    const struct keyvalue_get_response *response = fake_call(&f->call, METHOD_KEYVALUE_BASIC_GET, &r);
    CHECK_ERR(f->call.err, OK);
    return response->found ? response : NULL;
}
