/* Process, /proc and arguments. The child's configuration is the built-in one: namespaces default (SQLite) and memory. */
#include "world.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"

/* --- process ----------------------------------------------------------------------------------------------------------------- */

static _Noreturn void become_proxy(const struct world *w, const char *binary, const char *faults, int out)
{
    char log[128];
    snprintf(log, sizeof log, "%s/log", w->folder);
    int err = open(log, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    execl(binary, binary, "--data-dir", w->folder, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
          faults ? "--faults" : NULL, faults, NULL);
    _exit(127);
}

/* The line on standard output that says that it is ready: {..., "listen": "HOST:PORT", ...}. */
static bool read_ready(struct world *w)
{
    char line[1024];
    size_t size = 0;
    ssize_t got;
    while (size < sizeof line - 1 && (got = read(w->out, line + size, sizeof line - 1 - size)) > 0) {
        size += (size_t)got;
        if (line[size - 1] == '\n')
            break;
    }
    line[size] = '\0';
    const char *listen = strstr(line, "\"listen\":");
    return listen && sscanf(listen + strlen("\"listen\":"), " \"%63[^\"]\"", w->address) == 1;
}

bool world_start(struct world *w, const char *binary, const char *faults)
{
    int ends[2];
    *w = (struct world){.folder = "/tmp/prism-proof-XXXXXX"};
    if (!mkdtemp(w->folder) || pipe2(ends, O_CLOEXEC)) {
        perror(w->folder);
        return false;
    }
    w->out = ends[0];
    w->pid = fork();
    if (w->pid == 0)
        become_proxy(w, binary, faults, ends[1]);
    close(ends[1]);
    if (w->pid > 0 && read_ready(w))
        return true;
    fprintf(stderr, "%s does not start; its log is %s/log\n", binary, w->folder);
    return false;
}

static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char name[512];
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_type == DT_DIR)
            remove_folder(name);
        else
            unlink(name);
    }
    if (folder)
        closedir(folder);
    rmdir(path);
}

int world_stop(struct world *w)
{
    int status = -1;
    kill(w->pid, SIGTERM);
    waitpid(w->pid, &status, 0);
    close(w->out);
    remove_folder(w->folder);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

unsigned long world_resident_kib(const struct world *w)
{
    char path[64], line[256];
    unsigned long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)w->pid);
    FILE *status = fopen(path, "re");
    while (status && fgets(line, sizeof line, status) && sscanf(line, "VmRSS: %lu", &kib) != 1)
        ;
    if (status)
        fclose(status);
    return kib;
}

unsigned world_descriptors(const struct world *w)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)w->pid);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    if (folder)
        closedir(folder);
    return count;
}

/* --- calls ------------------------------------------------------------------------------------------------------------------- */

bool world_connect(const char *address, struct loop *loop, struct rpc_client **ret_client)
{
    struct rpc_client_options options = {.loop = loop, .address = address};
    struct arena arena;
    struct diag diag;
    arena_init(&arena, LIMIT_CALL_ARENA_BYTES);
    diag_init(&diag, &arena);
    enum err e = rpc_client_new(&options, &diag, ret_client);
    if (e)
        fprintf(stderr, "%s: %s\n", address, diag_message(&diag));
    arena_fini(&arena);
    return !e;
}

enum err world_call(struct rpc_client *client, const struct rpc_client_call_options *options,
                    const struct pb_message *table, const void *request, const struct rpc_client_events *events,
                    void *user, struct rpc_client_call **ret_call)
{
    struct buf encoded;
    buf_init(&encoded, LIMIT_CALL_ARENA_BYTES);
    enum err e = pb_encode_buf(table, request, &encoded);
    e = e ? e : rpc_client_call(client, options, events, user, ret_call);
    if (!e) {
        rpc_client_send(*ret_call, buf_slice(&encoded));
        rpc_client_send_end(*ret_call);
    }
    buf_fini(&encoded);
    return e;
}

/* --- arguments --------------------------------------------------------------------------------------------------------------- */

static bool set_one(const struct setting *settings, size_t count, const char *name, const char *value)
{
    for (size_t i = 0; i < count; i++) {
        char *end = NULL;
        if (strncmp(name, "--", 2) != 0 || strcmp(name + 2, settings[i].name) != 0)
            continue;
        if (settings[i].text)
            *settings[i].text = value;
        else
            *settings[i].number = strtoull(value, &end, 10);
        return !end || (*value && !*end);
    }
    return false;
}

bool settings_read(int argc, char **argv, const struct setting *settings, size_t count)
{
    for (int i = 1; i < argc; i += 2)
        if (i + 1 == argc || !set_one(settings, count, argv[i], argv[i + 1])) {
            fprintf(stderr, "%s: no such setting, or it wants a value: %s\n", argv[0], argv[i]);
            return false;
        }
    return true;
}
