/* Tables at run time: what protoc-gen-prism writes as C, made in memory from FileDescriptorProto bytes (a descriptor set, a
 * server's reflection, a schema registry). Rows and struct layout are the same as the generated ones.
 *
 *   pb_pool_new(NULL, &pool);
 *   pb_pool_add_set(pool, descriptor_set_bytes, &diag);        or pb_pool_add for each file, dependencies first
 *   const struct pb_service *s = pb_pool_service(pool, SLICE("prism.keyvalue.v1.KeyValueBasic"));
 *   pb_pool_free(pool);                                        with every table and name that came from it
 *
 * Descriptors are not trusted: numbers, names, references and map entries are checked. Group fields have no row; their bytes
 * stay unknown. After an error the pool may hold half a file: free it.
 * Thread: one at a time while adding; afterwards any, the tables are constant. */
#ifndef PRISM_PB_DESCRIPTOR_H
#define PRISM_PB_DESCRIPTOR_H

#include "pb/pb.h"

struct pb_pool;

struct pb_pool_options {
    bool comments; /* keep the comments of the source info as doc */
    bool
        extension_views; /* file->messages also has, for each message that the file extends, one of the extensions alone */
};

enum err pb_pool_new(const struct pb_pool_options *, struct pb_pool **ret_pool); /* NULL: neither. ERR_NOMEM */
void pb_pool_free(struct pb_pool *);                                             /* NULL is fine */
/* A serialized FileDescriptorProto, copied. Its dependencies come first. A file that is there already (by name) is left as it
 * is. ERR_DESCRIPTOR_INVALID, errors of pb_decode, ERR_NOMEM. */
enum err pb_pool_add(struct pb_pool *, struct slice file, struct diag *);
/* A serialized FileDescriptorSet in any order. */
enum err pb_pool_add_set(struct pb_pool *, struct slice set, struct diag *);

/* By full name without a leading dot, files by path. NULL: not there. */
const struct pb_message *pb_pool_message(const struct pb_pool *, struct slice name);
const struct pb_enum *pb_pool_enum(const struct pb_pool *, struct slice name);
const struct pb_service *pb_pool_service(const struct pb_pool *, struct slice name);
const struct pb_file *pb_pool_file(const struct pb_pool *, struct slice name);
/* "/package.Service/Method", with or without the leading slash. */
const struct pb_method *pb_pool_method(const struct pb_pool *, struct slice path);
/* Every file in the order of adding. */
const struct pb_file *const *pb_pool_files(const struct pb_pool *, uint32_t *ret_count);

#endif
