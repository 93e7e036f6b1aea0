/* Inside of a descriptor pool: names to tables, and what defining a file needs. Internal to pb. */
#ifndef PRISM_PB_POOL_H
#define PRISM_PB_POOL_H

#include "pb/bootstrap/descriptor.pb.h"
#include "pb/descriptor.h"

enum symbol_kind { SYMBOL_MESSAGE, SYMBOL_ENUM, SYMBOL_SERVICE, SYMBOL_FILE };

struct symbol {
    enum symbol_kind kind;
    struct slice name;
    void *table;                                          /* struct pb_message, pb_enum, pb_service, pb_file */
    const struct google_protobuf_descriptor_proto *proto; /* of messages */
};

struct pb_pool {
    struct arena arena;
    struct pb_pool_options options;
    struct symbol *symbols; /* open addressing, a power of two, at most half full; name.data NULL: free */
    uint32_t symbol_capacity;
    uint32_t symbol_count;
    struct pb_array files; /* const struct pb_file * */
};

/* A file while its tables are made. */
struct draft {
    struct pb_pool *pool;
    const struct google_protobuf_file_descriptor_proto *proto;
    struct pb_file *file;
    bool proto3;
    struct pb_array messages, enums, services; /* pointers to tables, for the lists of struct pb_file */
    struct google_protobuf_source_code_info_location **locations; /* sorted by path; only with comments */
    uint32_t location_count;
    struct diag *diag;
};

/* Enters a name. ERR_DESCRIPTOR_INVALID where it is taken. */
enum err pool_enter(struct draft *, enum symbol_kind, struct slice name, void *table, struct symbol **ret_symbol);
struct symbol *pool_find(const struct pb_pool *, enum symbol_kind, struct slice name);
/* The table of a reference as descriptors write it, ".package.Name"; NULL: none. */
void *pool_resolve(const struct pb_pool *, enum symbol_kind, struct slice reference);

/* NUL-terminated copy. NULL: out of memory, or an inner NUL. */
const char *draft_text(struct draft *, struct slice);
/* "scope.name". */
const char *draft_join(struct draft *, const char *scope, struct slice name);
enum err draft_invalid(struct draft *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The comment in front of the element at a path of the source info; NULL: none. */
const char *draft_comment(struct draft *, const int32_t *path, uint32_t depth);
enum err draft_index_comments(struct draft *);

/* First all names, then the rows, so that types may refer to later ones. Paths are those of the source info. */
enum err declare_types(struct draft *);
enum err define_messages(struct draft *);
enum err define_services(struct draft *);
/* Options of a descriptor: its extensions decoded by one of the tables of prism/options.proto. NULL: out of memory or malformed. */
void *draft_options(struct draft *, const struct pb_message *table, const void *options);

#endif
