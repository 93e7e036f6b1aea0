/* Names. A folder has its names twice: as they are, and as the platter has them; between them lies a list of changes in their
 * order. A sync of the folder carries all of them out, a crash the first few: a journaling file system never has a later one
 * without those before it, but each folder is on its own. Syncing a file does not bring its name to the platter. */
#include <assert.h>

#include "base/mem.h"
#include "rt/sim/disk_internal.h"

struct sim_node *sim_node_new(struct sim *s, bool folder)
{
    struct sim_node *n = mem_zalloc(sizeof *n);
    if (!n)
        return NULL;
    n->refs = 1;
    n->sim = s;
    n->folder = folder;
    n->changes_last = &n->changes;
    sim_file_init(n);
    return n;
}

/* Nothing speaks of it any more. */
static void free_if_lost(struct sim_node *folder, struct sim_entry *e)
{
    struct sim_entry **link = &folder->entries;
    if (e->here || e->kept || e->changes)
        return;
    while (*link != e)
        link = &(*link)->next;
    *link = e->next;
    sim_node_unref(e->node);
    mem_free(e->name);
    mem_free(e);
}

static void let_go(struct sim_node *folder, struct sim_entry *e)
{
    if (!e)
        return;
    e->changes--;
    free_if_lost(folder, e);
}

/* Carried out on the platter, or forgotten. */
static void end_first_change(struct sim_node *folder, bool carried_out)
{
    struct sim_change *c = folder->changes;
    folder->changes = c->next;
    if (!folder->changes)
        folder->changes_last = &folder->changes;
    for (int i = 0; i < 2 && carried_out; i++)
        if (c->removed[i])
            c->removed[i]->kept = false;
    if (c->added && carried_out)
        c->added->kept = true;
    let_go(folder, c->removed[0]);
    let_go(folder, c->removed[1]);
    let_go(folder, c->added);
    mem_free(c);
}

void sim_names_forget(struct sim_node *folder)
{
    while (folder->changes)
        end_first_change(folder, false);
    for (struct sim_entry *e; (e = folder->entries);) {
        e->here = e->kept = false;
        free_if_lost(folder, e);
    }
}

void sim_node_unref(struct sim_node *n)
{
    if (!n || --n->refs)
        return;
    sim_names_forget(n);
    sim_file_fini(n);
    mem_free(n);
}

/* ---- finding ------------------------------------------------------------------------------------------------------------- */

static struct sim_entry *find_here(const struct sim_node *folder, struct slice name)
{
    struct sim_entry *e = folder->entries;
    while (e && !(e->here && slice_eq(slice_str(e->name), name)))
        e = e->next;
    return e;
}

/* Takes the next name off the front of the path; empty: there is none. "." is where one is. */
static struct slice next_name(const char **path)
{
    while (**path == '/' || (**path == '.' && ((*path)[1] == '/' || (*path)[1] == '\0')))
        (*path)++;
    struct slice name = slice_of(*path, strcspn(*path, "/"));
    *path += name.size;
    return name;
}

struct sim_node *sim_names_find(struct sim *s, const char *path)
{
    struct sim_node *at = s->drive->root;
    for (struct slice name; at && (name = next_name(&path)).size;) {
        struct sim_entry *e = find_here(at, name);
        at = e ? e->node : NULL;
    }
    return at;
}

/* The folder, and the last name of the path. NULL: it is not there. */
static struct sim_node *parent(struct sim *s, const char *path, struct slice *ret_name)
{
    struct sim_node *at = s->drive->root;
    struct slice name = next_name(&path), after;
    while (at && at->folder && (after = next_name(&path)).size) {
        struct sim_entry *e = find_here(at, name);
        at = e ? e->node : NULL;
        name = after;
    }
    *ret_name = name;
    return at && at->folder && name.size ? at : NULL;
}

struct sim_node *sim_names_folder_of(struct sim *s, const char *path)
{
    struct slice name;
    return parent(s, path, &name);
}

/* A name that is told is held meanwhile, as by a change. */
void sim_names_each(struct sim_node *folder, void (*entry)(void *context, const char *name, bool folder), void *context)
{
    for (struct sim_entry *e = folder->entries, *next; e; e = next) {
        e->changes++;
        if (e->here)
            entry(context, e->name, e->node->folder);
        next = e->next;
        let_go(folder, e);
    }
}

/* ---- changing ------------------------------------------------------------------------------------------------------------ */

static char *copy_name(struct slice name)
{
    char *text = mem_alloc(name.size + 1);
    if (!text)
        return NULL;
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    return text;
}

static struct sim_entry *new_entry(struct sim_node *folder, struct slice name, struct sim_node *node)
{
    struct sim_entry *e = mem_zalloc(sizeof *e);
    if (!e || !(e->name = copy_name(name))) {
        mem_free(e);
        return NULL;
    }
    e->node = node;
    node->refs++;
    e->here = true;
    e->next = folder->entries;
    folder->entries = e;
    return e;
}

/* Takes the change over. The entries may be NULL. */
static void note(struct sim_node *folder, struct sim_change *c, struct sim_entry *gone, struct sim_entry *replaced,
                 struct sim_entry *added)
{
    *c = (struct sim_change){.removed = {gone, replaced}, .added = added};
    for (int i = 0; i < 2; i++) {
        if (c->removed[i]) {
            c->removed[i]->here = false;
            c->removed[i]->changes++;
        }
    }
    if (added)
        added->changes++;
    *folder->changes_last = c;
    folder->changes_last = &c->next;
}

enum err sim_names_add(struct sim *s, const char *path, struct sim_node *node)
{
    struct slice name;
    struct sim_node *folder = parent(s, path, &name);
    if (!folder)
        return ERR_NOT_FOUND;
    struct sim_change *c = mem_alloc(sizeof *c);
    struct sim_entry *e = c ? new_entry(folder, name, node) : NULL;
    if (!e) {
        mem_free(c);
        return ERR_NOMEM;
    }
    note(folder, c, NULL, NULL, e);
    return OK;
}

enum err sim_names_remove(struct sim *s, const char *path)
{
    struct slice name;
    struct sim_node *folder = parent(s, path, &name);
    struct sim_entry *e = folder ? find_here(folder, name) : NULL;
    if (!e)
        return ERR_NOT_FOUND;
    struct sim_change *c = mem_alloc(sizeof *c);
    if (!c)
        return ERR_NOMEM;
    note(folder, c, e, NULL, NULL);
    return OK;
}

/* Within a folder it is one change; between two it is one in each. */
static enum err move(struct sim_node *source, struct sim_entry *old, struct sim_node *target, struct slice name)
{
    struct sim_entry *replaced = find_here(target, name);
    struct sim_change *in = mem_alloc(sizeof *in), *out = source == target ? NULL : mem_alloc(sizeof *out);
    struct sim_entry *e = in && (out || source == target) ? new_entry(target, name, old->node) : NULL;
    if (!e) {
        mem_free(in);
        mem_free(out);
        return ERR_NOMEM;
    }
    note(target, in, source == target ? old : NULL, replaced, e);
    if (out)
        note(source, out, old, NULL, NULL);
    return OK;
}

enum err sim_names_move(struct sim *s, const char *from, const char *to)
{
    struct slice name, new_name;
    struct sim_node *source = parent(s, from, &name), *target = parent(s, to, &new_name);
    struct sim_entry *old = source ? find_here(source, name) : NULL;
    if (!old || !target)
        return ERR_NOT_FOUND;
    if (find_here(target, new_name) == old)
        return OK;
    return move(source, old, target, new_name);
}

/* ---- the platter ---------------------------------------------------------------------------------------------------------- */

void sim_names_sync(struct sim_node *folder)
{
    while (folder->changes)
        end_first_change(folder, true);
}

void sim_names_sync_all(struct sim_node *folder)
{
    for (struct sim_entry *e = folder->entries; e; e = e->next) {
        if (e->node->folder)
            sim_names_sync_all(e->node);
        else
            sim_file_sync(e->node);
    }
    sim_names_sync(folder);
}

void sim_names_fail_sync_all(struct sim_node *folder, bool evicts)
{
    for (struct sim_entry *e = folder->entries; e; e = e->next) {
        if (e->node->folder)
            sim_names_fail_sync_all(e->node, evicts);
        else
            sim_file_fail_sync(e->node, evicts);
    }
}

static void crash_names(struct sim_node *folder, const struct sim_disk_plan *plan)
{
    while (plan->crash == SIM_CRASH_TEARS && folder->changes && sim_choose(folder->sim, 3))
        end_first_change(folder, true);
    while (folder->changes)
        end_first_change(folder, false);
    for (struct sim_entry *e = folder->entries, *next; e; e = next) {
        next = e->next;
        e->here = e->kept;
        free_if_lost(folder, e);
    }
}

void sim_names_crash(struct sim_node *folder, const struct sim_disk_plan *plan)
{
    crash_names(folder, plan);
    for (struct sim_entry *e = folder->entries; e; e = e->next) {
        if (e->node->folder)
            sim_names_crash(e->node, plan);
        else
            sim_file_crash(e->node, plan);
    }
}
