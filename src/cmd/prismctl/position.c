/* How far an import has come: the number of records from the beginning that are all stored, in a small file beside the records.
 *
 *   position_open ──▶ position_move*, never back ──▶ position_close(done: the file goes) */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "cli.h"

enum { DIGITS = 20 };

enum err position_open(struct position *p, struct cli *cli, const char *records)
{
    char digits[DIGITS + 1] = "";
    *p = (struct position){.fd = -1, .path = arena_printf(&cli->arena, "%s.position", records)};
    if (!p->path)
        return ERR_NOMEM;
    p->fd = open(p->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (p->fd < 0)
        return diag_set(&cli->diag, ERR_FILE, "%s cannot be written: %s", p->path, strerror(errno));
    if (pread(p->fd, digits, DIGITS, 0) < 0 || sscanf(digits, "%" SCNu64, &p->records) != 1)
        p->records = 0;
    return OK;
}

/* One write of a fixed size: a process that ends in the middle leaves the old number or the new one. */
enum err position_move(struct position *p, struct cli *cli, uint64_t records)
{
    char digits[DIGITS + 1];
    if (p->fd < 0 || records <= p->records)
        return OK;
    p->records = records;
    snprintf(digits, sizeof digits, "%0*" PRIu64, DIGITS, records);
    if (pwrite(p->fd, digits, DIGITS, 0) != DIGITS)
        return diag_set(&cli->diag, ERR_FILE, "%s cannot be written: %s", p->path, strerror(errno));
    return OK;
}

void position_close(struct position *p, bool done)
{
    if (p->fd < 0)
        return;
    close(p->fd);
    if (done)
        unlink(p->path);
    p->fd = -1;
}
