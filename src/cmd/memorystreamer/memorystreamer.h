/* The program: its command line, its configuration, its life around the broker. */
#ifndef PRISM_CMD_MEMORYSTREAMER_H
#define PRISM_CMD_MEMORYSTREAMER_H

#include "base/diag.h"
#include "streamer/broker.h"

struct streamer_source {
    const char *file; /* NULL: built-in defaults */
    /* What the command line says goes before what the file says; NULL and 0: not given. */
    const char *data_dir;
    const char *listen;
    const char *metrics_listen;
    const char *log_level;
    uint32_t workers;
};

/* serve.c: until SIGTERM. The exit code. */
int serve(const struct streamer_source *);
/* Says whether the configuration is valid: problems as text, each with its place. The exit code. */
int check_config(const struct streamer_source *);
/* inspect.c: prints what is wrong with a data folder that no broker has open; prints a segment batch by batch. The exit code. */
int fsck(const char *folder);
int dump(const char *path);

#endif
