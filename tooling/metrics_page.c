/* Writes docs/reference/metrics.md from the tables of proxy/measure. Run by make docs. */
#include <stdio.h>

#include "proxy/measure.h"

int main(void)
{
    struct buf page;
    buf_init(&page, 1 << 20);
    buf_puts(&page, "---\ntitle: Metrics\ndescription: What the metrics port tells Prometheus\n---\n\n");
    measure_reference(&page);
    bool written = !buf_err(&page) && fwrite(page.data, 1, page.size, stdout) == page.size;
    buf_fini(&page);
    return !written;
}
