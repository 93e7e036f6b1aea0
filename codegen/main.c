/* protoc's side: the request from standard input, the response to standard output (protoc --help: --plugin). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gen.h"
#include "pb/bootstrap/descriptor.pb.h"
#include "pb/bootstrap/plugin.pb.h"

static void die(const char *what, enum err err, const struct diag *diag)
{
    fprintf(stderr, "protoc-gen-prism: %s: %s\n", what, diag ? diag_message(diag) : err_row(err)->text);
    exit(1);
}

static void must(const char *what, enum err err)
{
    if (err)
        die(what, err, NULL);
}

static void read_all(struct buf *b)
{
    ssize_t n = 1;
    while (n > 0) {
        uint8_t *to = buf_reserve(b, 1 << 16);
        must("reading the request", buf_err(b));
        n = read(STDIN_FILENO, to, 1 << 16);
        if (n > 0)
            buf_advance(b, (size_t)n);
        else if (n < 0 && errno == EINTR)
            n = 1;
    }
    if (n < 0)
        die("reading the request", err_from_errno(errno), NULL);
}

static void write_all(struct slice bytes)
{
    while (bytes.size) {
        ssize_t n = write(STDOUT_FILENO, bytes.data, bytes.size);
        if (n < 0 && errno != EINTR)
            die("writing the response", err_from_errno(errno), NULL);
        if (n > 0)
            bytes = slice_skip(bytes, (size_t)n);
    }
}

/* "a,b=c". */
static void read_parameters(struct gen *g, struct slice text)
{
    char *rest = (char *)(uintptr_t)name_printf(g, "%.*s", SLICE_ARG(text));
    for (char *item; (item = strsep(&rest, ",")) != NULL;) {
        if (strcmp(item, "bootstrap") == 0)
            g->bootstrap = true;
        else if (strncmp(item, "docs=", 5) == 0)
            g->docs = item + 5;
        else if (*item)
            die(item, ERR_USAGE, NULL);
    }
}

/* Comments of Google's files are theirs: neither our reference nor our binaries repeat them. */
static struct google_protobuf_file_descriptor_proto *without_foreign_comments(
    struct google_protobuf_file_descriptor_proto *f)
{
    if (slice_starts_with(f->name, SLICE("google/protobuf/")) &&
        !slice_eq(f->package, SLICE("google.protobuf.compiler")))
        f->source_code_info = NULL;
    return f;
}

static void load(struct gen *g, const struct google_protobuf_compiler_code_generator_request *request)
{
    struct diag diag;
    diag_init(&diag, &g->arena);
    must("pool", pb_pool_new(&(struct pb_pool_options){.comments = true, .extension_views = true}, &g->pool));
    for (uint32_t i = 0; i < request->proto_file.count; i++) {
        struct buf b;
        buf_init(&b, GEN_BYTES_MAX);
        must("descriptor", pb_encode_buf(&google_protobuf_file_descriptor_proto_pb,
                                         without_foreign_comments(PB_AT(request->proto_file, void *, i)), &b));
        enum err err = pb_pool_add(g->pool, buf_slice(&b), &diag);
        if (err)
            die("descriptor", err, &diag);
        buf_fini(&b);
    }
    g->file_count = request->file_to_generate.count;
    g->files = arena_array(&g->arena, const struct pb_file *, g->file_count);
    for (uint32_t i = 0; i < g->file_count; i++)
        g->files[i] = pb_pool_file(g->pool, PB_AT(request->file_to_generate, struct slice, i));
}

bool gen_is_bootstrap_file(const struct pb_file *f)
{
    return strcmp(f->name, "google/protobuf/descriptor.proto") == 0 || strcmp(f->name, "prism/options.proto") == 0 ||
           strcmp(f->name, "google/protobuf/compiler/plugin.proto") == 0;
}

/* --- output ----------------------------------------------------------------------------------------------------------------- */

static void add_file(struct gen *g, struct google_protobuf_compiler_code_generator_response *response, const char *name,
                     const struct buf *content)
{
    must(name, buf_err(content));
    void *file = pb_new(&google_protobuf_compiler_code_generator_response_file_pb, &g->arena);
    void **entry = pb_array_add(&response->file, sizeof *entry, &g->arena);
    struct slice copy;
    if (!file || !entry || !arena_copy(&g->arena, buf_slice(content), &copy))
        die(name, ERR_NOMEM, NULL);
    struct google_protobuf_compiler_code_generator_response_file *f = *entry = file;
    f->has_name = f->has_content = true;
    f->name = slice_str(name);
    f->content = copy;
}

static void add_emitted(struct gen *g, struct google_protobuf_compiler_code_generator_response *response,
                        const char *name, void (*emit)(struct gen *, const struct pb_file *, struct buf *),
                        const struct pb_file *f)
{
    struct buf b;
    buf_init(&b, GEN_BYTES_MAX);
    emit(g, f, &b);
    add_file(g, response, name, &b);
    buf_fini(&b);
}

static void add_whole(struct gen *g, struct google_protobuf_compiler_code_generator_response *response,
                      const char *name, void (*emit)(struct gen *, struct buf *))
{
    struct buf b;
    buf_init(&b, GEN_BYTES_MAX);
    emit(g, &b);
    add_file(g, response, name, &b);
    buf_fini(&b);
}

static bool has_interface(const struct pb_file *f)
{
    for (uint32_t i = 0; f->services[i]; i++)
        if (f->services[i]->interface_id)
            return true;
    return false;
}

/* protoc writes below --prism_out; the bootstrap files go there without their folders. */
static const char *output_stem(struct gen *g, const struct pb_file *f)
{
    const char *slash = strrchr(f->name, '/');
    const char *name = g->bootstrap && slash ? slash + 1 : f->name;
    return name_printf(g, "%.*s", (int)(strlen(name) - strlen(".proto")), name);
}

static void generate_file(struct gen *g, struct google_protobuf_compiler_code_generator_response *response,
                          const struct pb_file *f)
{
    const char *stem = output_stem(g, f);
    if (!g->bootstrap && gen_is_bootstrap_file(f)) {
        add_emitted(g, response, name_printf(g, "%s.pb.h", stem), emit_forward, f);
        return;
    }
    add_emitted(g, response, name_printf(g, "%s.pb.h", stem), emit_header, f);
    add_emitted(g, response, name_printf(g, "%s.pb.c", stem), emit_tables, f);
    if (has_interface(f))
        add_emitted(g, response, name_printf(g, "%s.ops.h", stem), emit_ops, f);
}

static void generate(struct gen *g, struct google_protobuf_compiler_code_generator_response *response)
{
    if (g->docs) {
        add_whole(g, response, name_printf(g, "%s/api.md", g->docs), emit_docs);
        return;
    }
    for (uint32_t i = 0; i < g->file_count; i++)
        generate_file(g, response, g->files[i]);
    if (g->bootstrap)
        return;
    add_whole(g, response, "files.pb.c", emit_index);
    add_whole(g, response, "interfaces.h", emit_interfaces_header);
    add_whole(g, response, "interfaces.c", emit_interfaces);
}

int main(void)
{
    struct gen g = {.pool = NULL};
    struct buf input, output;
    void *request;
    arena_init(&g.arena, GEN_BYTES_MAX);
    buf_init(&input, GEN_BYTES_MAX);
    buf_init(&output, GEN_BYTES_MAX);
    read_all(&input);
    must("the request",
         pb_decode(&google_protobuf_compiler_code_generator_request_pb, buf_slice(&input), &g.arena, NULL, &request));
    read_parameters(&g, ((struct google_protobuf_compiler_code_generator_request *)request)->parameter);
    load(&g, request);
    struct google_protobuf_compiler_code_generator_response response = {
        .has_supported_features = true, .supported_features = 1 /* FEATURE_PROTO3_OPTIONAL */};
    generate(&g, &response);
    must("the response", pb_encode_buf(&google_protobuf_compiler_code_generator_response_pb, &response, &output));
    write_all(buf_slice(&output));
    pb_pool_free(g.pool);
    buf_fini(&input);
    buf_fini(&output);
    arena_fini(&g.arena);
    return 0;
}
