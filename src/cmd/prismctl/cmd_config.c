/* config: checking a file with the proxy's own code, and telling the proxy to read it again. */
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "drivers/memory/memory.h"
#include "drivers/postgres/postgres.h"
#include "drivers/redis/redis.h"
#include "drivers/sqlite/sqlite.h"
#include "prism/admin/v1/proxy_admin.pb.h"
#include "proxy/config.h"

static const struct driver *const linked[] = {&driver_memory, &driver_sqlite, &driver_postgres, &driver_redis};

static const char *environment(const char *name)
{
    return getenv(name);
}

static enum err tell_problems(struct cli *cli, const struct config_report *problems)
{
    struct buf text;
    buf_init(&text, LIMIT_CALL_ARENA_BYTES);
    config_report_print(problems, &text);
    fwrite(text.data, 1, text.size, stderr);
    buf_fini(&text);
    return diag_set(&cli->diag, ERR_CONFIG_INVALID, "%u %s in %s", problems->total,
                    problems->total == 1 ? "problem" : "problems", problems->file);
}

enum err run_config_validate(struct cli *cli)
{
    struct driver_registry drivers = {.drivers = linked, .count = sizeof linked / sizeof *linked};
    struct config_source source = {.file = cli_argument(cli, 0), .drivers = &drivers, .environment = environment};
    struct config_report problems;
    struct config *config = NULL;
    if (access(source.file, R_OK))
        return diag_set(&cli->diag, ERR_FILE, "%s cannot be read", source.file);
    config_report_init(&problems, &cli->arena, source.file);
    enum err e = config_load(&source, &problems, &config);
    if (e == ERR_CONFIG_INVALID)
        return tell_problems(cli, &problems);
    if (!e && cli->output != OUTPUT_TABLE)
        e = cli_print(cli, &config_proxy_config_pb, config->root);
    else if (!e)
        printf("%s is valid: %u namespaces, %u backends\n", source.file, config->root->namespaces.count,
               config->root->backends.count);
    config_free(config);
    return e;
}

enum err run_config_reload(struct cli *cli)
{
    struct admin_reload_config_request request = {.validate_only = cli_flag(cli, "dry-run")};
    struct admin_reload_config_response *response;
    enum err e = cli_call(cli, SIDE_ADMIN, method_named(&admin_proxy_admin_service, "ReloadConfig"), &request,
                          (void **)&response);
    if (e)
        return e;
    if (cli->output != OUTPUT_TABLE)
        return cli_print(cli, &admin_reload_config_response_pb, response);
    if (request.validate_only)
        puts("the file is valid; nothing has been changed");
    else
        printf("reloaded: %u namespaces added, %u changed, %u removed\n", response->namespaces_added,
               response->namespaces_changed, response->namespaces_removed);
    if (response->writes_under_way)
        return diag_set(
            &cli->diag, ERR_FAILED_PRECONDITION,
            "reloaded, but calls that began before still run in a namespace whose writes are paused; reload "
            "again before its data is exported");
    return OK;
}
