/* Inside of a descriptor pool: names to tables, and what defining a file needs. Internal to pb. */
#ifndef PRISM_PB_POOL_H
#define PRISM_PB_POOL_H

#include "pb/bootstrap/descriptor.pb.h"
#include "pb/descriptor.h"

enum symbol_kind { SYMBOL_MESSAGE, SYMBOL_ENUM, SYMBOL_SERVICE, SYMBOL_FILE };

struct symbol {
    enum symbol_kind kind;
    struct slice name;
    void *table; /* struct pb_message, pb_enum, pb_service, pb_file */
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
enum err pb_pool_enter(struct draft *, enum symbol_kind, struct slice name, void *table);
struct symbol *pb_pool_find(const struct pb_pool *, enum symbol_kind, struct slice name);
/* The table of a reference as descriptors write it, ".package.Name"; NULL: none. */
void *pb_pool_resolve(const struct pb_pool *, enum symbol_kind, struct slice reference);

/* NUL-terminated copy. ERR_DESCRIPTOR_INVALID: there is a NUL inside. */
enum err pb_draft_text(struct draft *, struct slice, const char **ret_text);
/* "scope.name", checked to be a name. */
enum err pb_draft_name(struct draft *, const char *scope, struct slice name, const char **ret_name);
enum err pb_draft_invalid(struct draft *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The comment in front of the element at a path of the source info; NULL: none. */
const char *pb_draft_comment(struct draft *, const int32_t *path, uint32_t depth);
enum err pb_draft_index_comments(struct draft *);

/* First all names, then the rows, so that types may refer to later ones. Paths are those of the source info. */
enum err pb_declare_types(struct draft *);
enum err pb_define_messages(struct draft *);
enum err pb_define_services(struct draft *);
/* A row, without its place in a message. message is NULL for extensions. */
enum err pb_define_field(struct draft *, const struct google_protobuf_descriptor_proto *message,
                         const struct google_protobuf_field_descriptor_proto *, struct pb_field *);
/* Sorts rows into a message that has its name, lays out its struct and indexes the numbers. */
enum err pb_finish_message(struct draft *, struct pb_message *, struct pb_field *rows, uint32_t count);
/* Options of a descriptor (may be NULL): its extensions decoded by one of the tables of prism/options.proto. */
enum err pb_draft_options(struct draft *, const struct pb_message *table, const void *options, void *ret_options);

#endif
