/* Files, on both environments by the same calls. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../harness.h"
#include "rt/sim/sim.h"

struct place {
    struct sim *sim; /* NULL: the machine */
    const struct env *env;
    char folder[64];
};

static struct place make_place(bool twin)
{
    struct place p = {.env = env_real(), .folder = "/tmp/prism-test-disk-XXXXXX"};
    if (twin) {
        CHECK_ERR(sim_new(1, &p.sim), OK);
        p.env = sim_env(p.sim);
        CHECK_ERR(p.env->disk->mkdir(p.env, p.folder, 0700), OK);
    } else {
        CHECK(mkdtemp(p.folder));
    }
    return p;
}

static void remove_place(struct place *p)
{
    if (!p->sim)
        CHECK_ERR(p->env->disk->rmdir(p->env, p->folder), OK);
    sim_free(p->sim);
}

static const char *at(const struct place *p, const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", p->folder, name);
    return path;
}

static int make_file(const struct place *p, const char *name)
{
    char path[128];
    int fd;
    CHECK_ERR(p->env->disk->open(p->env, at(p, name, path), O_RDWR | O_CREAT | O_EXCL, 0600, &fd), OK);
    return fd;
}

static void remove_file(const struct place *p, const char *name)
{
    char path[128];
    CHECK_ERR(p->env->disk->unlink(p->env, at(p, name, path)), OK);
}

enum { PARTS = 150 };

static void gathers_many_parts(bool twin)
{
    struct place p = make_place(twin);
    struct slice parts[PARTS];
    uint8_t bytes[1000], expected[1000];
    size_t size, total = 0;
    for (int i = 0; i < PARTS; i++) {
        parts[i] = slice_take(SLICE("0123456789"), (size_t)(i % 11));
        if (parts[i].size)
            memcpy(expected + total, parts[i].data, parts[i].size);
        total += parts[i].size;
    }
    int fd = make_file(&p, "x");
    CHECK_ERR(p.env->disk->pwritev(p.env, fd, parts, PARTS, 7), OK);
    CHECK_ERR(p.env->disk->pread(p.env, fd, bytes, sizeof bytes, 7, &size), OK);
    CHECK_SLICE(slice_of(bytes, size), slice_of(expected, total));
    p.env->disk->close(p.env, fd);
    remove_file(&p, "x");
    remove_place(&p);
}

TEST(many_parts_are_one_write)
{
    gathers_many_parts(false);
    gathers_many_parts(true);
}

static void allocates(bool twin)
{
    struct place p = make_place(twin);
    uint8_t bytes[8];
    uint64_t size;
    size_t got;
    int fd = make_file(&p, "x");
    CHECK_ERR(p.env->disk->pwrite(p.env, fd, SLICE("abc"), 0), OK);
    CHECK_ERR(p.env->disk->allocate(p.env, fd, 0, 100000), OK);
    CHECK_ERR(p.env->disk->size(p.env, fd, &size), OK);
    CHECK_EQ(size, 100000);
    CHECK_ERR(p.env->disk->pread(p.env, fd, bytes, 5, 0, &got), OK);
    CHECK_SLICE(slice_of(bytes, got), slice_of("abc\0\0", 5));
    CHECK_ERR(p.env->disk->allocate(p.env, fd, 0, 10), OK);
    CHECK_ERR(p.env->disk->size(p.env, fd, &size), OK);
    CHECK_EQ(size, 100000);
    CHECK_ERR(p.env->disk->space(p.env, p.folder, &size), OK);
    CHECK(size > 0);
    CHECK_ERR(p.env->disk->sync_all(p.env, fd), OK);
    p.env->disk->close(p.env, fd);
    remove_file(&p, "x");
    remove_place(&p);
}

TEST(space_is_allocated_as_zeros)
{
    allocates(false);
    allocates(true);
}

struct names {
    int files, folders;
    bool others;
};

static void note_name(void *context, const char *name, bool folder)
{
    struct names *n = context;
    n->files += !folder && (strcmp(name, "a") == 0 || strcmp(name, "b") == 0);
    n->folders += folder && strcmp(name, "sub") == 0;
    n->others |= strcmp(name, "a") != 0 && strcmp(name, "b") != 0 && strcmp(name, "sub") != 0;
}

static void lists(bool twin)
{
    struct place p = make_place(twin);
    struct names n = {0};
    char path[128], other[128];
    CHECK_ERR(p.env->disk->mkdir(p.env, at(&p, "sub", path), 0700), OK);
    p.env->disk->close(p.env, make_file(&p, "a"));
    p.env->disk->close(p.env, make_file(&p, "b"));
    p.env->disk->close(p.env, make_file(&p, "sub/a"));
    p.env->disk->close(p.env, make_file(&p, "sub/b"));
    CHECK_ERR(p.env->disk->list(p.env, p.folder, note_name, &n), OK);
    CHECK_EQ(n.files, 2);
    CHECK_EQ(n.folders, 1);
    CHECK(!n.others);
    CHECK_ERR(p.env->disk->sync_folder(p.env, p.folder), OK);
    CHECK_ERR(p.env->disk->move(p.env, at(&p, "sub/a", path), at(&p, "c", other)), OK);
    CHECK_ERR(p.env->disk->move(p.env, at(&p, "sub/a", path), at(&p, "c", other)), ERR_NOT_FOUND);
    remove_file(&p, "c");
    remove_file(&p, "sub/b");
    CHECK_ERR(p.env->disk->rmdir(p.env, at(&p, "sub", path)), OK);
    remove_file(&p, "a");
    remove_file(&p, "b");
    remove_place(&p);
}

TEST(a_folder_lists_its_own_names_once)
{
    lists(false);
    lists(true);
}

static void names_errors(bool twin)
{
    struct place p = make_place(twin);
    char path[128], other[128];
    int fd;
    CHECK_ERR(p.env->disk->open(p.env, at(&p, "x", path), O_RDWR, 0, &fd), ERR_NOT_FOUND);
    CHECK_ERR(p.env->disk->unlink(p.env, path), ERR_NOT_FOUND);
    CHECK_ERR(p.env->disk->rename(p.env, path, at(&p, "y", other)), ERR_NOT_FOUND);
    fd = make_file(&p, "x");
    p.env->disk->close(p.env, fd);
    CHECK_ERR(p.env->disk->open(p.env, path, O_RDWR | O_CREAT | O_EXCL, 0600, &fd), ERR_ALREADY_EXISTS);
    remove_file(&p, "x");
    remove_place(&p);
}

TEST(missing_and_present_files_are_told_apart)
{
    names_errors(false);
    names_errors(true);
}

static void locks(bool twin)
{
    struct place p = make_place(twin);
    char path[128];
    int first = make_file(&p, "lock"), second;
    CHECK_ERR(p.env->disk->open(p.env, at(&p, "lock", path), O_RDWR, 0, &second), OK);
    CHECK_ERR(p.env->disk->lock(p.env, first), OK);
    CHECK_ERR(p.env->disk->lock(p.env, second), ERR_FAILED_PRECONDITION);
    p.env->disk->close(p.env, first);
    CHECK_ERR(p.env->disk->lock(p.env, second), OK);
    p.env->disk->close(p.env, second);
    remove_file(&p, "lock");
    remove_place(&p);
}

TEST(one_open_file_has_the_lock)
{
    locks(false);
    locks(true);
}
