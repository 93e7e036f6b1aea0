/* protoc-gen-prism: protoc's plug-in that makes everything that is generated from proto/. It reads the compiler's request,
 * makes run-time tables of all its files (pb/descriptor.h), and each emitter prints those tables in its own form.
 *
 *   header     x.pb.h    message structs, enums, declarations         tables   x.pb.c    rows, services, descriptor
 *   interface  x.ops.h   operations of a data interface               index    files.pb.c, interfaces.h, interfaces.c
 *   docs       api.md    the API reference                                     (parameter docs=DIRECTORY: only this)
 *
 * Parameter `bootstrap`: flat files for src/pb/bootstrap/, which the plug-in itself is built with. */
#ifndef PRISM_CODEGEN_GEN_H
#define PRISM_CODEGEN_GEN_H

#include "pb/descriptor.h"

enum { GEN_BYTES_MAX = 1 << 30 };

struct gen {
    struct arena arena;
    struct pb_pool *pool;
    const struct pb_file **files; /* to generate, in protoc's order */
    uint32_t file_count;
    bool bootstrap;
    const char *docs; /* directory; NULL: code */
};

/* Names, in the arena. They end the program where memory is out: a code generator has nothing better to do. */
const char *name_of_message(struct gen *, const struct pb_message *); /* keyvalue_set_request */
const char *name_of_enum(struct gen *, const struct pb_enum *);
/* What stands in front of an enum's constants: "" or "GOOGLE_RPC_". */
const char *name_of_constants(struct gen *, const struct pb_enum *);
const char *name_of_service(struct gen *, const struct pb_service *); /* keyvalue_basic_service */
const char *name_of_file(struct gen *, const struct pb_file *);       /* prism_keyvalue_v1_keyvalue_basic_file */
const char *name_of_header(struct gen *, const struct pb_file *);     /* as #include has it */
const char *name_snake(struct gen *, const char *camel);
const char *name_upper(struct gen *, const char *text);
/* A member name: C keywords, and what the struct has already, get an underscore. */
const char *name_member(struct gen *, const char *name);
const char *name_printf(struct gen *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Part of the name behind the package. */
const char *name_local(const struct pb_file *, const char *full_name);

/* Files of src/pb/bootstrap/, of which the generated tree has only a header that includes theirs. */
bool gen_is_bootstrap_file(const struct pb_file *);
/* Services with an interface id, by (file name, place in the file). */
const struct pb_service **gen_interfaces(struct gen *, uint32_t *ret_count);

/* "text" as a C string literal or NULL, a comment, a run of bytes as string literals. */
void put_literal(struct buf *, const char *text);
void put_comment(struct buf *, const char *indent, const char *text);
void put_bytes(struct buf *, struct slice bytes);
void put_banner(struct buf *, const char *source);

void emit_header(struct gen *, const struct pb_file *, struct buf *);
void emit_forward(struct gen *, const struct pb_file *, struct buf *);
void emit_tables(struct gen *, const struct pb_file *, struct buf *);
void emit_ops(struct gen *, const struct pb_file *, struct buf *);
void emit_index(struct gen *, struct buf *);
void emit_interfaces_header(struct gen *, struct buf *);
void emit_interfaces(struct gen *, struct buf *);
void emit_docs(struct gen *, struct buf *);

#endif
