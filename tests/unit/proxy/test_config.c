#include "../harness.h"
#include "base/limits.h"
#include "drivers.h"
#include "google/protobuf/duration.pb.h"
#include "proxy/config.h"

static const char *no_environment(const char *name)
{
    (void)name;
    return NULL;
}

static const struct config_source source = {
    .file = "prism.yaml", .drivers = &test_registry, .environment = no_environment};

/* Loads a text that is valid, for the test to look at. */
static struct config *load(struct arena *arena, const char *text)
{
    struct config_report report;
    struct config *config;
    config_report_init(&report, arena, source.file);
    enum err e = config_load_text(&source, slice_str(text), &report, &config);
    if (report.count)
        test_fail(__FILE__, __LINE__, "%u:%u: %s: %s", report.problems[0].place.line, report.problems[0].place.column,
                  report.problems[0].path, report.problems[0].message);
    CHECK_ERR(e, OK);
    return config;
}

/* What is said about a text that is not. */
static void check_said(const char *text, const char *expected)
{
    struct arena arena;
    struct buf said;
    struct config_report report;
    struct config *config;
    arena_init(&arena, 64 << 20);
    buf_init(&said, 1 << 20);
    config_report_init(&report, &arena, source.file);
    CHECK_ERR(config_load_text(&source, slice_str(text), &report, &config), ERR_CONFIG_INVALID);
    config_report_print(&report, &said);
    CHECK_SLICE(buf_slice(&said), slice_str(expected));
    buf_fini(&said);
    arena_fini(&arena);
}

static const struct config_namespace *namespace_at(const struct config *config, uint32_t i)
{
    CHECK(i < config->root->namespaces.count);
    return PB_AT(config->root->namespaces, struct config_namespace *, i);
}

TEST(an_empty_file_gives_the_built_in_configuration)
{
    static const char *const texts[] = {"", "# nothing\n", "---\n...\n", "null\n", "namespaces: []\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct arena arena;
        arena_init(&arena, 1 << 20);
        struct config *config = load(&arena, texts[i]);
        CHECK_SLICE(config->root->listen, SLICE("127.0.0.1:8980"));
        CHECK_SLICE(config->root->metrics_listen, SLICE("127.0.0.1:9090"));
        CHECK_SLICE(config->root->data_dir, SLICE("./prism-data"));
        CHECK(config->root->workers >= 1 && config->root->workers <= LIMIT_WORKERS);
        CHECK_EQ(config_duration_ms(config->root->drain_timeout), 30000);
        CHECK_SLICE(config->root->log->level, SLICE("info"));
        CHECK_EQ(config->root->namespaces.count, 3);
        CHECK_SLICE(namespace_at(config, 0)->name, SLICE("default"));
        CHECK_SLICE(namespace_at(config, 0)->backend, SLICE("sqlite"));
        CHECK_SLICE(namespace_at(config, 1)->backend, SLICE("memory"));
        CHECK_SLICE(namespace_at(config, 2)->name, SLICE("demo"));
        CHECK_EQ(namespace_at(config, 0)->limits->message_bytes, LIMIT_MESSAGE_BYTES);
        CHECK(namespace_at(config, 0)->ttl->allow_infinite);
        CHECK_EQ(config_duration_ms(namespace_at(config, 0)->idempotency->retention), 86400000);
        config_free(config);
        arena_fini(&arena);
    }
}

TEST(every_kind_of_value_is_read)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct config *config =
        load(&arena, "listen: 127.0.0.1:0\n"
                     "workers: 3\n"
                     "drain_timeout: 1m30s\n"
                     "log: {level: debug, access: true}\n"
                     "backends:\n"
                     "  main: {type: sqlite, sqlite: {synchronous: normal, cache_bytes: 64MiB, readers: 2}}\n"
                     "namespaces:\n"
                     "  - name: orders\n"
                     "    backend: main\n"
                     "    ttl: {default: 720h, allow_infinite: false}\n"
                     "    limits: {message_bytes: 8MiB}\n"
                     "    needs: {durability: durable, interfaces: [keyvalue_basic, keyvalue_scan]}\n"
                     "  - {name: 'cache', backend: \"memory\", description: ~}\n");
    CHECK_EQ(config->root->workers, 3);
    CHECK_EQ(config_duration_ms(config->root->drain_timeout), 90000);
    CHECK(config->root->log->access);
    const struct config_backend *main_backend = config_backend_named(config->root, SLICE("main"));
    CHECK(main_backend);
    CHECK_EQ(main_backend->sqlite->synchronous, CONFIG_SQLITE_OPTIONS_SYNCHRONOUS_NORMAL);
    CHECK_EQ(main_backend->sqlite->cache_bytes, 64 << 20);
    const struct config_namespace *orders = namespace_at(config, 0);
    CHECK_EQ(config_duration_ms(orders->ttl->default_), 720ll * 3600 * 1000);
    CHECK(!orders->ttl->allow_infinite);
    CHECK_EQ(orders->limits->message_bytes, 8 << 20);
    CHECK_EQ(orders->needs->interfaces.count, 2);
    const struct config_backend *backend;
    CHECK(config_driver_of(config->root, &test_registry, orders, &backend) == &test_sqlite && backend == main_backend);
    CHECK(config_driver_of(config->root, &test_registry, namespace_at(config, 1), &backend) == &test_memory &&
          !backend);
    CHECK_SLICE(namespace_at(config, 1)->description, SLICE_EMPTY);
    config_free(config);
    arena_fini(&arena);
}

TEST(anchors_and_aliases_are_followed)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct config *config = load(&arena, "namespaces:\n"
                                         "  - {name: a, backend: memory, ttl: &week {default: 168h}}\n"
                                         "  - {name: b, backend: memory, ttl: *week}\n");
    CHECK_EQ(config_duration_ms(namespace_at(config, 1)->ttl->default_), 168ll * 3600 * 1000);
    config_free(config);
    arena_fini(&arena);
}

TEST(the_command_line_goes_before_the_file)
{
    struct arena arena;
    struct config_report report;
    struct config *config;
    struct config_source given = source;
    given.listen = "127.0.0.1:1";
    given.workers = 7;
    arena_init(&arena, 1 << 20);
    config_report_init(&report, &arena, NULL);
    CHECK_ERR(config_load_text(&given, SLICE("listen: 127.0.0.1:2\nworkers: 2\n"), &report, &config), OK);
    CHECK_SLICE(config->root->listen, SLICE("127.0.0.1:1"));
    CHECK_EQ(config->root->workers, 7);
    config_free(config);
    arena_fini(&arena);
}

/* A namespace that is fine, for texts whose fault lies elsewhere. */
#define FINE "namespaces: [{name: a, backend: memory}]\n"

static const struct {
    const char *text, *said;
} faults[] = {
    {"listen: [\n", "prism.yaml:2:1: did not find expected node content while parsing a flow node\n"},
    {"a: b: c\n", "prism.yaml:1:5: mapping values are not allowed in this context\n"},
    {"- a\n", "prism.yaml:1:1: is a list; write a map of fields, like `namespaces:` here\n"},
    {"hello\n", "prism.yaml:1:1: is a text; write a map of fields, like `namespaces:` here\n"},
    {FINE "--- {}\n", "prism.yaml:2:4: more than one document; a configuration is one\n"},
    {"*x : 1\n", "prism.yaml:1:1: the alias *x stands before its anchor &x has ended\n"},
    {"log: &x {level: *x}\n", "prism.yaml:1:17: the alias *x stands before its anchor &x has ended\n"},
    {"[a]: 1\n", "prism.yaml:1:1: a key must be text\n"},
    {"namespaces: [, {name: a, backend: memory}]\n",
     "prism.yaml:1:14: did not find expected node content while parsing a flow node\n"},
    {"namespaces:\n- \n- {name: a, backend: memory}\n",
     "prism.yaml:2:2: namespaces[0]: is empty; write a map of fields here\n"
     "prism.yaml:2:2: namespaces[0].name: is required\n"
     "prism.yaml:2:2: namespaces[0].backend: is required\n"},
    {FINE "workres: 2\n", "prism.yaml:2:1: unknown key `workres`: did you mean `workers`?\n"},
    {FINE "log: {color: red}\n", "prism.yaml:2:7: log: unknown key `color`; there are: level, access\n"},
    {"namespaces:\n  - name: a\n    bakend: memory\n",
     "prism.yaml:2:5: namespaces[0].backend: is required\n"
     "prism.yaml:3:5: namespaces[0]: unknown key `bakend`: did you mean `backend`?\n"},
    {FINE "log: {level: info, level: debug}\n",
     "prism.yaml:2:20: log: the key `level` is here twice, first in line 2; keep one\n"},
    {FINE "backends: {x: {type: memory}, x: {type: sqlite}}\n",
     "prism.yaml:2:31: backends: the key `x` is here twice, first in line 2; keep one\n"},
    {FINE "workers: many\n", "prism.yaml:2:10: workers: `many` is not a whole number from 0\n"},
    {FINE "workers: -1\n", "prism.yaml:2:10: workers: `-1` is not a whole number from 0\n"},
    {FINE "workers: 4294967296\n", "prism.yaml:2:10: workers: `4294967296` is not a whole number from 0\n"},
    {FINE "log: {access: yes}\n", "prism.yaml:2:15: log.access: `yes` is not true or false\n"},
    {FINE "drain_timeout: 30 parsecs\n",
     "prism.yaml:2:16: drain_timeout: `30 parsecs` is not a duration; write for example 250ms, 30s or 1h30m\n"},
    {FINE "drain_timeout: 6m\n", "prism.yaml:2:16: drain_timeout: must be at most 5m\n"},
    {FINE "drain_timeout: 0s\n", "prism.yaml:2:16: drain_timeout: must be above 0; leave it out for none\n"},
    {FINE "drain_timeout: {seconds: 1}\n", "prism.yaml:2:16: drain_timeout: is a map; write a single value here\n"},
    {FINE "tls: on\n", "prism.yaml:2:6: tls: is a text; write a map of fields here\n"},
    {FINE "listen: {}\n", "prism.yaml:2:9: listen: is a map; write a single value here\n"},
    {"namespaces: {a: memory}\n",
     "prism.yaml:1:13: namespaces: is a map; write a list, like [a, b] or lines that begin with - here\n"},
    {FINE "backends: [memory]\n", "prism.yaml:2:11: backends: is a list; write a map of names to values here\n"},
    {FINE "backends: {b: {type: sqlite, sqlite: {cache_bytes: 8 MB and more}}}\n",
     "prism.yaml:2:52: backends[b].sqlite.cache_bytes: `8 MB and more` is not a size; write for example 64KiB, 4MiB or "
     "512\n"},
    {FINE "backends: {b: {type: sqlite, sqlite: {synchronous: sometimes}}}\n",
     "prism.yaml:2:52: backends[b].sqlite.synchronous: `sometimes` is not one of: full, normal, off\n"},
    {FINE "data_dir: ${HOME}\n",
     "prism.yaml:2:11: data_dir: `${HOME}` stays as it is: only secrets take variables; write the value itself\n"},
    {"namespaces: [{name: a, backend: memroy}]\n",
     "prism.yaml:1:33: namespaces[0].backend: there is no backend `memroy`: did you mean `memory`?\n"},
    {"backends: {main: {type: sqlite}}\nnamespaces: [{name: a, backend: postgres}]\n",
     "prism.yaml:2:33: namespaces[0].backend: there is no backend `postgres`; there are: main, memory, sqlite. Name "
     "one of them, "
     "or add it to backends\n"},
    {FINE "backends: {x: {type: oracle}}\n",
     "prism.yaml:2:22: backends[x].type: `oracle` is not a driver; there are: memory, sqlite\n"},
    {FINE "backends: {x: }\n", "prism.yaml:2:12: backends[x]: is empty; write at least its type: {type: sqlite}\n"},
    {FINE "backends: {x: {type: memory, sqlite: {}}}\n", "prism.yaml:2:38: backends[x].sqlite: options of sqlite, but "
                                                         "the backend is memory; remove them, or change the backend\n"},
    {"namespaces: [{name: a, backend: memory, sqlite: {readers: 1}}]\n",
     "prism.yaml:1:49: namespaces[0].sqlite: options of sqlite, but the backend is memory; remove them, or change the "
     "backend\n"},
    {"namespaces:\n- {name: a, backend: memory}\n- {name: b, backend: memory}\n- {name: a, backend: sqlite}\n",
     "prism.yaml:4:10: namespaces[2].name: there is a namespace `a` already; each name is used once\n"},
    {"namespaces: [{name: a, backend: memory, ttl: {default: 2h, max: 1h}}]\n",
     "prism.yaml:1:56: namespaces[0].ttl.default: is longer than ttl.max; shorten it, or raise ttl.max\n"},
    {"namespaces: [{name: a, backend: memory, ttl: {default: 0s}}]\n",
     "prism.yaml:1:56: namespaces[0].ttl.default: must be above 0; leave it out for none\n"},
    {"namespaces: [{name: a, backend: memory, ttl: {allow_infinite: false}}]\n",
     "prism.yaml:1:63: namespaces[0].ttl.allow_infinite: false needs a default: writes without a time to live would "
     "all be "
     "refused; set ttl.default\n"},
    {"namespaces: [{name: a, backend: memory, needs: {durability: durable}}]\n",
     "prism.yaml:1:61: namespaces[0].needs.durability: `durable`, but memory loses its data when the process ends; "
     "choose "
     "another backend\n"},
    {"namespaces: [{name: a, backend: sqlite, needs: {ordered_scan: true, ttl: required}}]\n",
     "prism.yaml:1:63: namespaces[0].needs.ordered_scan: the driver sqlite does not scan in key order; choose another "
     "backend\n"
     "prism.yaml:1:74: namespaces[0].needs.ttl: the driver sqlite does not expire data; choose another backend\n"},
    {"namespaces: [{name: a, backend: memory, needs: {interfaces: [keyvalue_scan, keyvalue_bsic, x]}}]\n",
     "prism.yaml:1:62: namespaces[0].needs.interfaces[0]: the driver memory does not offer `keyvalue_scan`; choose "
     "another backend\n"
     "prism.yaml:1:77: namespaces[0].needs.interfaces[1]: there is no interface `keyvalue_bsic`: did you mean "
     "`keyvalue_basic`?\n"
     "prism.yaml:1:92: namespaces[0].needs.interfaces[2]: there is no interface `x`; `prismctl backend list` shows "
     "them\n"},
    {FINE "tls: {cert_file: /nowhere/c, key_file: /nowhere/k, client_cert_required: true}\n",
     "prism.yaml:2:18: tls.cert_file: the file `/nowhere/c` could not be read: No such file or directory\n"
     "prism.yaml:2:40: tls.key_file: the file `/nowhere/k` could not be read: No such file or directory\n"
     "prism.yaml:2:74: tls.client_cert_required: true needs client_ca_file: whom to trust\n"},
    {FINE "listen: 127.0.0.1:7000\nmetrics_listen: 127.0.0.1:7000\n",
     "prism.yaml:3:17: metrics_listen: `127.0.0.1:7000` is the address of listen; choose another port\n"},
};

TEST(each_fault_is_told_with_its_place_and_the_fix)
{
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        check_said(faults[i].text, faults[i].said);
}

/* The rules that stand in the proto; the words are pb_validate's. */
TEST(rules_of_single_fields_have_their_place)
{
    struct arena arena;
    struct config_report report;
    struct config *config;
    arena_init(&arena, 1 << 20);
    config_report_init(&report, &arena, source.file);
    CHECK_ERR(config_load_text(&source,
                               SLICE("listen: nowhere\nworkers: 65\nlog: {level: loud}\n"
                                     "backends: {b: {}}\n"
                                     "namespaces:\n- name: Orders\n  backend: memory\n- backend: memory\n"),
                               &report, &config),
              ERR_CONFIG_INVALID);
    static const struct {
        const char *path;
        uint32_t line, column;
    } expected[] = {{"listen", 1, 9},
                    {"workers", 2, 10},
                    {"log.level", 3, 14},
                    {"backends[b].type", 4, 12},
                    {"namespaces[0].name", 6, 9},
                    {"namespaces[1].name", 8, 3}};
    CHECK_EQ(report.count, sizeof expected / sizeof *expected);
    for (uint32_t i = 0; i < report.count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < report.count; k++)
            found |= strcmp(report.problems[k].path, expected[i].path) == 0 &&
                     report.problems[k].place.line == expected[i].line &&
                     report.problems[k].place.column == expected[i].column;
        if (!found)
            test_fail(__FILE__, __LINE__, "no problem of %s at %u:%u", expected[i].path, expected[i].line,
                      expected[i].column);
    }
    arena_fini(&arena);
}

TEST(twenty_problems_are_shown_and_the_rest_counted)
{
    struct buf text, said;
    struct arena arena;
    struct config_report report;
    struct config *config;
    buf_init(&text, 1 << 20);
    buf_init(&said, 1 << 20);
    arena_init(&arena, 1 << 20);
    for (int i = 0; i < 30; i++)
        buf_printf(&text, "zzz%d: 1\n", i);
    config_report_init(&report, &arena, source.file);
    CHECK_ERR(config_load_text(&source, buf_slice(&text), &report, &config), ERR_CONFIG_INVALID);
    CHECK_EQ(report.count, 20);
    CHECK_EQ(report.total, 30);
    config_report_print(&report, &said);
    CHECK(said.size > 12 && memcmp(said.data + said.size - 12, "and 10 more\n", 12) == 0);
    buf_fini(&text);
    buf_fini(&said);
    arena_fini(&arena);
}

/* Nine levels of ten aliases each would be a thousand million values. */
TEST(aliases_cannot_expand_without_end)
{
    struct buf text;
    struct arena arena;
    struct config_report report;
    struct config *config;
    buf_init(&text, 1 << 20);
    arena_init(&arena, 256 << 20);
    buf_puts(&text, "namespaces: [{name: a, backend: memory, needs: &l0 {interfaces: [keyvalue_basic]}},\n");
    for (int i = 1; i <= 4; i++) {
        buf_printf(&text, "&l%d {name: x, backend: memory, needs: {interfaces: [", i);
        for (int k = 0; k < 1000; k++)
            buf_puts(&text, "keyvalue_basic,");
        buf_puts(&text, "]}},\n");
    }
    for (int i = 0; i < 400; i++)
        buf_puts(&text, "*l1,\n");
    buf_puts(&text, "]\n");
    config_report_init(&report, &arena, source.file);
    CHECK_ERR(config_load_text(&source, buf_slice(&text), &report, &config), ERR_CONFIG_INVALID);
    CHECK(strstr(report.problems[0].message, "use fewer aliases"));
    buf_fini(&text);
    arena_fini(&arena);
}

TEST(deep_nesting_is_refused)
{
    char text[400] = "log: ";
    for (int i = 0; i < 60; i++)
        strcat(text, "{a: ");
    struct arena arena;
    struct config_report report;
    struct config *config;
    arena_init(&arena, 1 << 20);
    config_report_init(&report, &arena, source.file);
    strcat(text, "\n");
    CHECK_ERR(config_load_text(&source, slice_str(text), &report, &config), ERR_CONFIG_INVALID);
    CHECK_STR(report.problems[0].message, "nested deeper than a configuration may be");
    arena_fini(&arena);
}

SCENARIO(a_configuration_is_loaded_or_memory_is_out)
{
    struct arena arena;
    struct config_report report;
    struct config *config;
    arena_init(&arena, 1 << 20);
    config_report_init(&report, &arena, source.file);
    enum err e =
        config_load_text(&source,
                         SLICE("backends: {m: {type: sqlite, sqlite: {synchronous: off}}}\n"
                               "namespaces: [{name: a, backend: m, ttl: {default: 1h}}, {name: b, backend: memory}]\n"),
                         &report, &config);
    if (!e)
        config_free(config);
    CHECK_EQ(report.total, 0);
    arena_fini(&arena);
    return e;
}

SCENARIO(faults_are_told_or_memory_is_out)
{
    struct arena arena;
    struct config_report report;
    struct config *config = NULL;
    arena_init(&arena, 1 << 20);
    config_report_init(&report, &arena, source.file);
    enum err e = config_load_text(
        &source, SLICE("listn: 1\nworkers: many\nnamespaces: [{name: a, backend: nowhere}]\n"), &report, &config);
    CHECK(e == ERR_CONFIG_INVALID || e == ERR_NOMEM);
    arena_fini(&arena);
    return e == ERR_CONFIG_INVALID ? OK : e;
}
