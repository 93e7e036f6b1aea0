/* From a file to a checked configuration: the steps in their order (config.h shows them). */
#include "proxy/config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "proxy/config_read.h"

static struct config *config_new(void)
{
    struct config *config = mem_zalloc(sizeof *config);
    if (!config)
        return NULL;
    arena_init(&config->arena, LIMIT_CONFIG_ARENA_BYTES);
    config->root = pb_new(&config_proxy_config_pb, &config->arena);
    if (config->root)
        return config;
    config_free(config);
    return NULL;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    arena_fini(&config->arena);
    mem_free(config);
}

static enum err read_text(const struct config_source *source, struct slice text, struct config_report *report,
                          struct config *config)
{
    struct yaml_error error;
    const struct yaml_node *root;
    enum err e = yaml_parse(text, &config->arena, &error, &root);
    if (e == ERR_CONFIG_INVALID)
        config_report_add(report, (struct config_place){error.line, error.column}, "", "%s", error.message);
    if (e)
        return e;
    struct config_reader reader = {.arena = &config->arena, .report = report, .environment = source->environment};
    config_read(&reader, root, &config_proxy_config_pb, config->root);
    if (reader.exhausted)
        return ERR_CONFIG_INVALID;
    return report->out_of_memory ? ERR_NOMEM : OK;
}

/* The rules that stand in the proto: required, lengths, numbers. */
static enum err check_fields(const struct config_proxy_config *root, struct config_report *report)
{
    struct diag diag;
    diag_init(&diag, report->arena);
    enum err e = pb_validate(&config_proxy_config_pb, root, &diag);
    for (const struct diag_item *f = diag.fields; f; f = f->next)
        config_report_rule(report, f->name, f->value);
    return e == ERR_FIELD_INVALID && diag.fields ? OK : e;
}

static enum err complete_and_check(const struct config_source *source, struct config_report *report,
                                   struct config *config)
{
    if (!config_complete(source, config))
        return ERR_NOMEM;
    enum err e = check_fields(config->root, report);
    if (e)
        return e;
    config_check(config->root, source->drivers, report);
    return config_report_err(report);
}

enum err config_load_text(const struct config_source *source, struct slice text, struct config_report *report,
                          struct config **ret_config)
{
    struct config *config = config_new();
    if (!config)
        return ERR_NOMEM;
    enum err e = read_text(source, text, report, config);
    if (!e)
        e = complete_and_check(source, report, config);
    config_report_sort(report);
    if (e)
        config_free(config);
    else
        *ret_config = config;
    return e;
}

static enum err read_all(int fd, struct buf *out)
{
    for (;;) {
        uint8_t *room = buf_reserve(out, 16384);
        ssize_t n = room ? read(fd, room, 16384) : 0;
        if (n < 0)
            return err_from_errno(errno);
        if (n == 0)
            return buf_err(out);
        buf_advance(out, (size_t)n);
    }
}

static enum err read_file(const char *file, struct buf *out)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    enum err e = read_all(fd, out);
    int kept = errno;
    close(fd);
    errno = kept;
    return e;
}

enum err config_load(const struct config_source *source, struct config_report *report, struct config **ret_config)
{
    if (!source->file)
        return config_load_text(source, SLICE_EMPTY, report, ret_config);
    struct buf text;
    buf_init(&text, LIMIT_YAML_BYTES + 16384);
    errno = 0;
    enum err e = read_file(source->file, &text);
    if (e && e != ERR_NOMEM) {
        config_report_add(report, (struct config_place){0}, "", "the file could not be read: %s",
                          e == ERR_MESSAGE_TOO_LARGE ? "it is larger than a configuration may be" : strerror(errno));
        e = ERR_CONFIG_INVALID;
    }
    if (!e)
        e = config_load_text(source, buf_slice(&text), report, ret_config);
    buf_fini(&text);
    return e;
}
