/* Writes docs/reference/memorystreamer-metrics.md from the tables of src/streamer. Run by make docs. */
#include <stdio.h>

#include "streamer/stream_measure.h"

int main(void)
{
    struct buf page;
    buf_init(&page, 1 << 20);
    buf_puts(&page,
             "---\ntitle: Metrics of MemoryStreamer\ndescription: What its metrics port tells Prometheus\n---\n\n");
    streamer_metrics_reference(&page);
    bool written = !buf_err(&page) && fwrite(page.data, 1, page.size, stdout) == page.size;
    buf_fini(&page);
    return !written;
}
