/* The configuration reader on any text: it ends, its problems have words and places inside of the text, and what it accepts can
 * be written and keeps its own rules. */
#include <stdint.h>
#include <stdlib.h>

#include "proxy/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct driver memory = {.name = "memory", .expires = true, .ordered_scan = true};
static const struct driver sqlite = {.name = "sqlite", .durable = true};
static const struct driver *const drivers[] = {&memory, &sqlite};
static const struct driver_registry registry = {drivers, 2};

static const char *environment(const char *name)
{
    return *name == 'A' ? "value" : NULL;
}

static uint32_t count_lines(struct slice text)
{
    uint32_t lines = 1;
    for (size_t i = 0; i < text.size; i++)
        lines += text.data[i] == '\n' || text.data[i] == '\r' || text.data[i] == 0xC2 || text.data[i] == 0xE2;
    return lines;
}

static void check_problems(const struct config_report *report, struct slice text)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    config_report_print(report, &out);
    if (out.size == 0 || report->count == 0 || report->total < report->count)
        abort();
    for (uint32_t i = 0; i < report->count; i++)
        if (!*report->problems[i].message || report->problems[i].place.line > count_lines(text) + 1)
            abort();
    buf_fini(&out);
}

static void check_accepted(const struct config *config)
{
    struct buf out;
    buf_init(&out, 64 << 20);
    if (config->root->namespaces.count == 0 || pb_encode_buf(&config_proxy_config_pb, config->root, &out) ||
        pb_validate(&config_proxy_config_pb, config->root, NULL))
        abort();
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct config_source source = {.file = "x", .drivers = &registry, .environment = environment};
    struct arena arena;
    struct config_report report;
    struct config *config;
    arena_init(&arena, 64 << 20);
    config_report_init(&report, &arena, "x");
    enum err e = config_load_text(&source, slice_of(data, size), &report, &config);
    if (e == ERR_CONFIG_INVALID)
        check_problems(&report, slice_of(data, size));
    if (!e) {
        check_accepted(config);
        config_free(config);
    }
    arena_fini(&arena);
    return 0;
}
