/* Edit distance over three rows on the stack, for short words. */
#include "proxy/nearest.h"

enum { WORD_BYTES = 64 };

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

/* One row of the table: rows[0] is two letters back, rows[1] one, rows[2] is filled. */
static void fill_row(unsigned rows[3][WORD_BYTES + 1], struct slice a, struct slice b, size_t i)
{
    rows[2][0] = (unsigned)i;
    for (size_t j = 1; j <= b.size; j++) {
        bool same = a.data[i - 1] == b.data[j - 1];
        rows[2][j] = least(rows[1][j] + 1, rows[2][j - 1] + 1, rows[1][j - 1] + !same);
        bool swapped = i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1];
        if (swapped && rows[0][j - 2] + 1 < rows[2][j])
            rows[2][j] = rows[0][j - 2] + 1;
    }
}

unsigned nearest_distance(struct slice a, struct slice b)
{
    unsigned rows[3][WORD_BYTES + 1];
    if (a.size > WORD_BYTES || b.size > WORD_BYTES)
        return WORD_BYTES;
    for (size_t j = 0; j <= b.size; j++)
        rows[0][j] = rows[1][j] = (unsigned)j;
    for (size_t i = 1; i <= a.size; i++) {
        fill_row(rows, a, b, i);
        memcpy(rows[0], rows[1], sizeof rows[0]);
        memcpy(rows[1], rows[2], sizeof rows[1]);
    }
    return rows[1][b.size];
}

bool nearest_is_near(struct slice word, struct slice candidate)
{
    size_t most = word.size < 6 ? 1 + (word.size > 3) : word.size / 3;
    return nearest_distance(word, candidate) <= most;
}

void nearest_offer(struct nearest *n, struct slice candidate)
{
    unsigned distance = nearest_distance(n->word, candidate);
    if (!nearest_is_near(n->word, candidate) || (n->best.data && distance >= n->distance))
        return;
    n->best = candidate;
    n->distance = distance;
}
