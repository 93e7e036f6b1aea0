/* What is called: methods found in the tables of this build or asked of the server, requests made once from JSON.
 *
 * A request is expanded with marks of 12 bytes where {{seq}} and {{random}} stand, encoded, and the marks are found again in
 * the bytes: a call then only writes its digits there. Marks are 0x7f and letters, which no base64 and no number is. */
#include <stdlib.h>

#include "base/base64.h"
#include "base/limits.h"
#include "base/mem.h"
#include "loadtest.h"
#include "pb/descriptor.h"

enum { DIGITS = 12 };
static const char mark_seq[] = "\177sequence\177\177\177", mark_random[] = "\177random\177\177\177\177\177";

/* --- templates ------------------------------------------------------------------------------------------------------- */

static size_t put_plain(struct buf *out, struct slice text)
{
    static const struct {
        struct slice written;
        const char *mark;
    } places[] = {{{(const uint8_t *)"{{seq}}", 7}, mark_seq}, {{(const uint8_t *)"{{random}}", 10}, mark_random}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (slice_starts_with(text, places[i].written)) {
            buf_put(out, places[i].mark, DIGITS);
            return places[i].written.size;
        }
    buf_putc(out, (char)text.data[0]);
    return 1;
}

static void put_marked(struct buf *out, struct slice text)
{
    while (text.size)
        text = slice_skip(text, put_plain(out, text));
}

/* "text:…" up to the closing quote, as base64. Answers how much it took. */
static size_t put_text(struct buf *out, struct slice json)
{
    struct slice text = slice_skip(json, 5);
    const uint8_t *quote = memchr(text.data, '"', text.size);
    text.size = quote ? (size_t)(quote - text.data) : text.size;
    struct buf marked;
    buf_init(&marked, LIMIT_MESSAGE_BYTES_MAX);
    put_marked(&marked, text);
    size_t size = base64_encoded_size(marked.size, BASE64_STD);
    uint8_t *place = buf_err(&marked) ? NULL : buf_reserve(out, size);
    if (place) {
        base64_encode(buf_slice(&marked), BASE64_STD, (char *)place);
        buf_advance(out, size);
    } else {
        out->err = ERR_NOMEM;
    }
    buf_fini(&marked);
    return 5 + text.size;
}

static void expand(struct buf *out, struct slice json)
{
    while (json.size) {
        bool text = out->size && out->data[out->size - 1] == '"' && slice_starts_with(json, SLICE("text:"));
        json = slice_skip(json, text ? put_text(out, json) : put_plain(out, json));
    }
}

static enum err find_marks(struct template *t, struct diag *diag)
{
    for (size_t i = 0; i + DIGITS <= t->size; i++) {
        bool random = memcmp(t->bytes + i, mark_random, DIGITS) == 0;
        if (!random && memcmp(t->bytes + i, mark_seq, DIGITS) != 0)
            continue;
        if (t->patch_count == PATCHES_MAX)
            return diag_set(diag, ERR_USAGE, "--request has more than %d places to fill in", PATCHES_MAX);
        t->patches[t->patch_count++] = (struct patch){i, random};
    }
    return OK;
}

static enum err make_template(const struct pb_method *method, const char *json, struct arena *arena, struct diag *diag,
                              struct template *ret_template)
{
    static const struct pb_json_options strict = {.proto_names = true};
    struct template t = {.size = 0};
    struct buf expanded;
    void *message;
    buf_init(&expanded, LIMIT_MESSAGE_BYTES_MAX);
    expand(&expanded, slice_str(json));
    enum err e = buf_err(&expanded);
    if (!e)
        e = pb_json_read(method->input, buf_slice(&expanded), &strict, arena, diag, &message);
    if (!e) {
        t.size = pb_encoded_size(method->input, message);
        t.bytes = arena_alloc(arena, t.size + 1);
        e = t.bytes ? OK : ERR_NOMEM;
    }
    if (!e) {
        pb_encode(method->input, message, t.bytes);
        e = find_marks(&t, diag);
    }
    buf_fini(&expanded);
    if (!e)
        *ret_template = t;
    return e;
}

static void put_digits(uint8_t *to, uint64_t n)
{
    for (unsigned i = DIGITS; i-- > 0; n /= 10)
        to[i] = (uint8_t)('0' + n % 10);
}

struct slice template_next(struct template *t, uint64_t sequence, uint64_t random)
{
    for (unsigned i = 0; i < t->patch_count; i++)
        put_digits(t->bytes + t->patches[i].offset, t->patches[i].random ? random : sequence);
    return slice_of(t->bytes, t->size);
}

/* Whom to ask for methods that this build does not know. */
struct asking {
    const struct options *options;
    struct arena *arena;
    struct diag *diag;
    struct plan *plan;
};

/* --- methods --------------------------------------------------------------------------------------------------------- */

/* By interface id, full name, or the end of the full name from a dot on. */
static bool is_called(const struct pb_service *s, struct slice name)
{
    struct slice full = slice_str(s->name);
    if ((s->interface_id && slice_eq(slice_str(s->interface_id), name)) || slice_eq(full, name))
        return true;
    return name.size && name.size < full.size && slice_eq(slice_skip(full, full.size - name.size), name) &&
           full.data[full.size - name.size - 1] == '.';
}

static const struct pb_method *method_in(const struct pb_file *file, struct slice service, const char *method)
{
    for (uint32_t i = 0; file->services[i]; i++) {
        const struct pb_service *s = file->services[i];
        for (uint32_t m = 0; is_called(s, service) && m < s->method_count; m++)
            if (strcmp(s->methods[m].name, method) == 0)
                return &s->methods[m];
    }
    return NULL;
}

static const struct pb_method *method_known(struct slice service, const char *method)
{
    const struct pb_method *found = NULL;
    for (const struct pb_file *const *f = pb_files; *f && !found; f++)
        found = method_in(*f, service, method);
    return found;
}

static enum err ask_for_method(struct asking *a, struct slice name, const char *method,
                               const struct pb_method **ret_method)
{
    const struct pb_service *service;
    enum err e = reflect_service(a->options, name, a->arena, a->diag, &a->plan->pool, &service);
    for (uint32_t i = 0; !e && i < service->method_count && !*ret_method; i++)
        if (strcmp(service->methods[i].name, method) == 0)
            *ret_method = &service->methods[i];
    return e;
}

/* In the tables of this build, else, or where that was asked for, the server's. */
static enum err find_method(struct asking *a, const char *text, const struct pb_method **ret_method)
{
    const char *name = text + (*text == '/'), *slash = strchr(name, '/');
    if (!slash)
        return diag_set(a->diag, ERR_USAGE, "--method is Service/Method, such as keyvalue_basic/Get; not \"%s\"", text);
    struct slice service = slice_of(name, (size_t)(slash - name));
    const struct pb_method *found = a->options->reflect ? NULL : method_known(service, slash + 1);
    enum err e = found ? OK : ask_for_method(a, service, slash + 1, &found);
    if (e)
        return e;
    if (!found)
        return diag_set(a->diag, ERR_METHOD_UNKNOWN, "there is no method \"%s\"; prismctl services lists them", text);
    *ret_method = found;
    return OK;
}

/* --- the plan -------------------------------------------------------------------------------------------------------- */

#define KEY "\"key\":\"text:loadtest/{{random}}\""
static const struct preset {
    const char *name, *method, *request;
    bool value; /* which goes behind the request's text, and closes it */
} presets[] = {
    {"get", "keyvalue_basic/Get", "{" KEY "}", false},
    {"set", "keyvalue_basic/Set", "{" KEY ",\"value\":\"text:", true},
    {"delete", "keyvalue_basic/Delete", "{" KEY "}", false},
    {"exists", "keyvalue_basic/Exists", "{" KEY "}", false},
    {"scan", "keyvalue_scan/Scan",
     "{\"prefix\":\"text:loadtest/\",\"start\":\"text:loadtest/{{random}}\",\"limit\":10}", false},
};
static const struct preset preset_fill = {"fill", "keyvalue_basic/Set",
                                          "{\"key\":\"text:loadtest/{{seq}}\",\"value\":\"text:", true};

static enum err make_item(struct asking *a, const char *name, const char *method, const char *request, unsigned weight,
                          struct item *item)
{
    *item = (struct item){.name = name, .weight = weight};
    enum err e = find_method(a, method, &item->method);
    if (!e)
        e = make_template(item->method, request, a->arena, a->diag, &item->request);
    return e ? e : hdr_new(&item->latency);
}

static enum err make_preset(struct asking *a, const struct preset *p, unsigned weight, struct item *item)
{
    const struct options *o = a->options;
    char *value = arena_alloc(a->arena, o->size + 1);
    const char *request = p->request;
    if (!value)
        return ERR_NOMEM;
    memset(value, 'v', o->size);
    value[o->size] = 0;
    if (p->value)
        request = arena_printf(a->arena, "%s%s\"}", p->request, value);
    return request ? make_item(a, p->name, p->method, request, weight, item) : ERR_NOMEM;
}

static const struct preset *preset_named(struct slice name)
{
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (slice_eq(slice_str(presets[i].name), name))
            return &presets[i];
    return NULL;
}

/* One "get=90" of the mix; without a number the weight is 1. */
static enum err add_part(struct asking *a, struct slice part)
{
    struct plan *plan = a->plan;
    enum { WEIGHT_MAX = 1000000 };
    const uint8_t *equals = memchr(part.data, '=', part.size);
    struct slice name = equals ? slice_take(part, (size_t)(equals - part.data)) : part;
    unsigned long weight = equals ? strtoul((const char *)equals + 1, NULL, 10) : 1;
    const struct preset *p = preset_named(name);
    if (!p || !weight || weight > WEIGHT_MAX || plan->item_count == ITEMS_MAX)
        return diag_set(a->diag, ERR_USAGE,
                        "--mix is a list such as get=90,set=10 of get, set, delete, exists, scan; not \"%.*s\"",
                        SLICE_ARG(part));
    plan->weight += (unsigned)weight;
    return make_preset(a, p, (unsigned)weight, &plan->items[plan->item_count++]);
}

static enum err make_mix(struct asking *a)
{
    const char *text = a->options->mix ? a->options->mix : "get=90,set=10";
    enum err e = OK;
    while (!e) {
        size_t size = strcspn(text, ",");
        e = add_part(a, slice_of(text, size));
        if (!text[size])
            break;
        text += size + 1;
    }
    return e;
}

enum err plan_make(const struct options *o, struct arena *arena, struct diag *diag, struct plan *ret_plan)
{
    struct plan plan = {.item_count = 0};
    struct asking a = {o, arena, diag, &plan};
    enum err e;
    if (o->method) {
        plan.item_count = plan.weight = 1;
        e = make_item(&a, o->method, o->method, o->request ? o->request : "{}", 1, &plan.items[0]);
        if (e == ERR_JSON_MALFORMED)
            diag_wrap(diag, "--request");
    } else {
        e = make_mix(&a);
    }
    if (!e && o->fill)
        e = make_preset(&a, &preset_fill, 1, &plan.fill);
    if (e)
        plan_fini(&plan);
    else
        *ret_plan = plan;
    return e;
}

void plan_fini(struct plan *plan)
{
    for (unsigned i = 0; i < plan->item_count; i++)
        hdr_free(plan->items[i].latency);
    hdr_free(plan->fill.latency);
    pb_pool_free(plan->pool);
}
