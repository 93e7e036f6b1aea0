/* call, services, describe: any method of the server, by reflection. */
#include "cli.h"
#include "pb/descriptor.h"
#include "proxy/nearest.h"

/* --- finding a service --------------------------------------------------------------------------------------------- */

/* The service that name is, or is the end of. Empty: none; *ret_several: more than one. */
static struct slice match(const struct reflection *r, struct slice name, bool *ret_several)
{
    struct slice found = SLICE_EMPTY;
    for (uint32_t i = 0; i < r->services.count; i++) {
        struct slice service = PB_AT(r->services, struct slice, i);
        if (slice_eq(service, name)) {
            *ret_several = false;
            return service;
        }
        if (is_end_of_name(service, name)) {
            *ret_several |= found.size > 0;
            found = service;
        }
    }
    return found;
}

static struct slice last_part(struct slice name)
{
    while (name.size && memchr(name.data, '.', name.size))
        name = slice_skip(name, (size_t)((const uint8_t *)memchr(name.data, '.', name.size) - name.data) + 1);
    return name;
}

static void offer_services(struct nearest *near, const struct reflection *r)
{
    for (uint32_t i = 0; i < r->services.count; i++)
        nearest_offer(near, last_part(PB_AT(r->services, struct slice, i)));
}

static enum err unknown_service(struct cli *cli, struct slice name, const struct nearest *near)
{
    if (near->best.size)
        return diag_set(&cli->diag, ERR_METHOD_UNKNOWN, "there is no service \"%.*s\"; did you mean %.*s?",
                        SLICE_ARG(name), SLICE_ARG(near->best));
    return diag_set(&cli->diag, ERR_METHOD_UNKNOWN, "there is no service \"%.*s\"", SLICE_ARG(name));
}

/* Looks at the data address, then at the operations address; --admin: there alone. Loads the service's types. */
static enum err find_service(struct cli *cli, struct slice name, struct reflection *r, struct slice *ret_service)
{
    bool admin = cli_flag(cli, "admin") || slice_starts_with(name, SLICE("prism.admin."));
    struct nearest near = {.word = last_part(name)};
    for (enum side side = admin ? SIDE_ADMIN : SIDE_DATA; side < SIDE_COUNT; side++) {
        bool several = false;
        enum err e = reflect_list(cli, side, r);
        if (e)
            return e;
        *ret_service = match(r, name, &several);
        if (several)
            return diag_set(&cli->diag, ERR_USAGE, "several services end in \"%.*s\"; give the full name",
                            SLICE_ARG(name));
        if (ret_service->size)
            return reflect_load(r, *ret_service);
        offer_services(&near, r);
    }
    return unknown_service(cli, name, &near);
}

static enum err find_method(struct cli *cli, const char *text, struct reflection *r,
                            const struct pb_method **ret_method)
{
    if (*text == '/')
        text++;
    const char *slash = strrchr(text, '/');
    if (!slash)
        slash = strrchr(text, '.');
    if (!slash)
        return diag_set(&cli->diag, ERR_USAGE, "METHOD is Service/Method, such as KeyValueBasic/Get; not \"%s\"", text);
    struct slice name;
    enum err e = find_service(cli, slice_of(text, (size_t)(slash - text)), r, &name);
    if (e)
        return e;
    const struct pb_service *service = pb_pool_service(r->pool, name);
    struct nearest near = {.word = slice_str(slash + 1)};
    for (uint32_t i = 0; service && i < service->method_count; i++) {
        *ret_method = &service->methods[i];
        if (strcmp(service->methods[i].name, slash + 1) == 0)
            return OK;
        nearest_offer(&near, slice_str(service->methods[i].name));
    }
    return diag_set(&cli->diag, ERR_METHOD_UNKNOWN, "%.*s has no method \"%s\"%s%.*s%s", SLICE_ARG(name), slash + 1,
                    near.best.size ? "; did you mean " : "", SLICE_ARG(near.best), near.best.size ? "?" : "");
}

/* --- call ---------------------------------------------------------------------------------------------------------- */

static enum err add_request(struct cli *cli, const struct pb_method *method, struct slice json, unsigned line,
                            struct pb_array *requests)
{
    static const struct pb_json_options strict = {.proto_names = true};
    struct slice copy, *place = pb_array_add(requests, sizeof *place, &cli->arena);
    void *message;
    if (!place || !arena_copy(&cli->arena, json, &copy))
        return ERR_NOMEM;
    enum err e = pb_json_read(method->input, copy, &strict, &cli->arena, &cli->diag, &message);
    if (e) {
        diag_wrap(&cli->diag, line > 1 ? "request, line %u" : "request", line);
        return e;
    }
    uint8_t *out = arena_alloc(&cli->arena, pb_encoded_size(method->input, message) + 1);
    if (!out)
        return ERR_NOMEM;
    *place = slice_of(out, (size_t)(pb_encode(method->input, message, out) - out));
    return OK;
}

static enum err read_sequence(struct cli *cli, const struct pb_method *method, FILE *in, struct pb_array *requests)
{
    struct sequence sequence;
    sequence_init(&sequence, in, false);
    enum err e = OK;
    while (!e) {
        struct slice json;
        unsigned line;
        e = sequence_next(&sequence, &json, &line, &cli->diag);
        if (e || !json.size)
            break;
        e = add_request(cli, method, json, line, requests);
    }
    sequence_fini(&sequence);
    return e;
}

/* Requests from the argument: none is the empty request. */
static enum err read_requests(struct cli *cli, const struct pb_method *method, struct pb_array *requests)
{
    struct slice text = SLICE("{}");
    enum err e = cli_argument(cli, 1) ? cli_value(cli, cli_argument(cli, 1), &text) : OK;
    if (e)
        return e;
    /* An open_memstream's opposite: the text is read as a file is. */
    FILE *in = text.size ? fmemopen((void *)text.data, text.size, "rb") : NULL;
    if (text.size && !in)
        return ERR_NOMEM;
    e = in ? read_sequence(cli, method, in, requests) : OK;
    if (in)
        fclose(in);
    if (!e && requests->count != 1 && !method->client_streaming)
        return diag_set(&cli->diag, ERR_USAGE, "%s takes one request, not %u", method->path, requests->count);
    return e;
}

struct answers {
    struct cli *cli;
    const struct pb_method *method;
};

static enum err print_answer(void *context, struct slice message)
{
    const struct answers *a = context;
    struct arena arena;
    void *decoded;
    arena_init(&arena, LIMIT_CALL_ARENA_BYTES);
    enum err e = pb_decode(a->method->output, message, &arena, &pb_limits_default, &decoded);
    if (!e && a->method->server_streaming)
        e = cli_print_item(a->cli, a->method->output, decoded);
    else if (!e)
        e = cli_print(a->cli, a->method->output, decoded);
    if (!e && a->method->server_streaming)
        fflush(stdout);
    arena_fini(&arena);
    return e;
}

enum err run_call(struct cli *cli)
{
    struct reflection r = {.cli = cli};
    struct answers answers = {.cli = cli};
    struct pb_array requests = {.items = NULL};
    enum err e = find_method(cli, cli_argument(cli, 0), &r, &answers.method);
    if (!e)
        e = read_requests(cli, answers.method, &requests);
    if (!e)
        e = cli_stream(cli, r.side, answers.method->path, requests.items, requests.count, print_answer, &answers);
    reflect_close(&r);
    return e;
}

/* --- services and describe ----------------------------------------------------------------------------------------- */

static const char *type_name(const struct pb_field *f)
{
    static const char *const names[] = {"",        "double",   "float",    "int64",  "uint64", "int32", "fixed64",
                                        "fixed32", "bool",     "string",   "group",  "",       "bytes", "uint32",
                                        "",        "sfixed32", "sfixed64", "sint32", "sint64"};
    if (f->message)
        return f->message->name;
    if (f->enumeration)
        return f->enumeration->name;
    return f->type < sizeof names / sizeof *names ? names[f->type] : "";
}

static void print_doc(const struct cli *cli, const char *doc, const char *indent)
{
    while (doc && *doc) {
        size_t size = strcspn(doc, "\n");
        printf("%s%s// %.*s%s\n", indent, cli_paint(cli, STYLE_DIM), (int)size, doc + (*doc == ' '),
               cli_paint(cli, STYLE_OFF));
        doc += size + (doc[size] == '\n');
    }
}

static void print_field(const struct cli *cli, const struct pb_field *f)
{
    print_doc(cli, f->doc, "  ");
    if (f->card == PB_MAP)
        printf("  map<%s, %s> %s = %u;\n", type_name(&f->message->fields[0]), type_name(&f->message->fields[1]),
               f->name, f->number);
    else
        printf("  %s%s %s = %u;%s%s\n",
               f->card == PB_REPEATED   ? "repeated "
               : f->card == PB_OPTIONAL ? "optional "
                                        : "",
               type_name(f), f->name, f->number, f->oneof ? "  // one of " : "", f->oneof ? f->oneof : "");
}

static void print_message(const struct cli *cli, const struct pb_message *m)
{
    print_doc(cli, m->doc, "");
    printf("message %s%s%s {\n", cli_paint(cli, STYLE_BOLD), m->name, cli_paint(cli, STYLE_OFF));
    for (uint32_t i = 0; i < m->field_count; i++)
        print_field(cli, &m->fields[i]);
    puts("}");
}

static void print_method(const struct cli *cli, const struct pb_method *m)
{
    print_doc(cli, m->doc, "  ");
    printf("  rpc %s%s%s(%s%s) returns (%s%s);\n", cli_paint(cli, STYLE_BOLD), m->name, cli_paint(cli, STYLE_OFF),
           m->client_streaming ? "stream " : "", m->input->name, m->server_streaming ? "stream " : "", m->output->name);
}

static void print_service(const struct cli *cli, const struct pb_service *s)
{
    print_doc(cli, s->doc, "");
    printf("service %s%s%s {\n", cli_paint(cli, STYLE_BOLD), s->name, cli_paint(cli, STYLE_OFF));
    for (uint32_t i = 0; i < s->method_count; i++)
        print_method(cli, &s->methods[i]);
    puts("}");
}

static void print_enum(const struct cli *cli, const struct pb_enum *e)
{
    printf("enum %s%s%s {\n", cli_paint(cli, STYLE_BOLD), e->name, cli_paint(cli, STYLE_OFF));
    for (uint32_t i = 0; i < e->count; i++)
        printf("  %s = %d;\n", e->values[i].name, e->values[i].number);
    puts("}");
}

/* A method with the messages that it takes and gives. */
static bool describe_method(const struct cli *cli, const struct pb_service *s, struct slice name)
{
    size_t size = strlen(s->name);
    for (uint32_t i = 0; i < s->method_count; i++) {
        const struct pb_method *m = &s->methods[i];
        struct slice full =
            slice_str(arena_printf((struct arena *)&cli->arena, "%.*s.%s", (int)size, s->name, m->name));
        if (!is_end_of_name(full, name) || memchr(name.data, '.', name.size) == NULL)
            continue;
        print_method(cli, m);
        putchar('\n');
        print_message(cli, m->input);
        putchar('\n');
        print_message(cli, m->output);
        return true;
    }
    return false;
}

static bool describe_in(const struct cli *cli, const struct pb_file *file, struct slice name)
{
    bool found = false;
    for (uint32_t i = 0; file->services[i]; i++) {
        if (is_end_of_name(slice_str(file->services[i]->name), name)) {
            print_service(cli, file->services[i]);
            found = true;
        }
        found |= describe_method(cli, file->services[i], name);
    }
    for (uint32_t i = 0; file->messages[i]; i++) {
        const struct pb_message *m = file->messages[i];
        if (!m->map_entry && is_end_of_name(slice_str(m->name), name)) {
            print_message(cli, m);
            found = true;
        }
    }
    for (uint32_t i = 0; file->enums[i]; i++) {
        if (is_end_of_name(slice_str(file->enums[i]->name), name)) {
            print_enum(cli, file->enums[i]);
            found = true;
        }
    }
    return found;
}

static enum err describe_at(struct cli *cli, enum side side, struct slice name, bool *ret_found)
{
    struct reflection r = {.cli = cli};
    enum err e = reflect_list(cli, side, &r);
    if (!e)
        e = reflect_load(&r, SLICE_EMPTY);
    uint32_t count = 0;
    const struct pb_file *const *files = e ? NULL : pb_pool_files(r.pool, &count);
    for (uint32_t i = 0; i < count; i++)
        *ret_found |= describe_in(cli, files[i], name);
    reflect_close(&r);
    return e;
}

enum err run_describe(struct cli *cli)
{
    const char *text = cli_argument(cli, 0);
    char *name = arena_strdup(&cli->arena, text + (*text == '/'));
    if (!name)
        return ERR_NOMEM;
    for (char *c = name; *c; c++)
        *c = *c == '/' ? '.' : *c;
    bool found = false;
    for (enum side side = cli_flag(cli, "admin") ? SIDE_ADMIN : SIDE_DATA; side < SIDE_COUNT && !found; side++) {
        enum err e = describe_at(cli, side, slice_str(name), &found);
        if (e)
            return e;
    }
    return found ? OK : diag_set(&cli->diag, ERR_METHOD_UNKNOWN, "the server knows nothing of the name \"%s\"", text);
}

static void list_methods(struct cli *cli, const struct reflection *r)
{
    for (uint32_t i = 0; i < r->services.count; i++) {
        const struct pb_service *s = pb_pool_service(r->pool, PB_AT(r->services, struct slice, i));
        for (uint32_t m = 0; s && m < s->method_count; m++)
            printf("%s%s%s%s\n", s->methods[m].path + 1, cli_paint(cli, STYLE_DIM),
                   s->methods[m].client_streaming && s->methods[m].server_streaming ? "  (streams both ways)"
                   : s->methods[m].server_streaming                                 ? "  (streams)"
                   : s->methods[m].client_streaming                                 ? "  (takes a stream)"
                                                                                    : "",
                   cli_paint(cli, STYLE_OFF));
    }
}

static void list_as_json(struct cli *cli, const struct reflection *r)
{
    for (uint32_t i = 0; i < r->services.count; i++) {
        const struct pb_service *s = pb_pool_service(r->pool, PB_AT(r->services, struct slice, i));
        for (uint32_t m = 0; s && m < s->method_count; m++) {
            if (cli->output == OUTPUT_YAML)
                printf("- service: %s\n  method: %s\n  input: %s\n  output: %s\n", s->name, s->methods[m].name,
                       s->methods[m].input->name, s->methods[m].output->name);
            else
                printf("{\"service\":\"%s\",\"method\":\"%s\",\"input\":\"%s\",\"output\":\"%s\"}\n", s->name,
                       s->methods[m].name, s->methods[m].input->name, s->methods[m].output->name);
        }
    }
}

enum err run_services(struct cli *cli)
{
    struct reflection r = {.cli = cli};
    enum err e = reflect_list(cli, cli_flag(cli, "admin") ? SIDE_ADMIN : SIDE_DATA, &r);
    if (!e)
        e = reflect_load(&r, SLICE_EMPTY);
    if (!e && cli->output == OUTPUT_TABLE)
        list_methods(cli, &r);
    else if (!e)
        list_as_json(cli, &r);
    reflect_close(&r);
    return e;
}
