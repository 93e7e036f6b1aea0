/* "did you mean …?": the candidate that a mistyped word is closest to. Thread: any. */
#ifndef PRISM_PROXY_NEAREST_H
#define PRISM_PROXY_NEAREST_H

#include "base/slice.h"

/* Letters to add, drop, change or swap with the neighbour to get from a to b; words longer than 64 bytes count as far apart.
 * Source: Damerau-Levenshtein, restricted (optimal string alignment). */
unsigned nearest_distance(struct slice a, struct slice b);
/* Whether a candidate is near enough to be meant: a third of the word's letters, at least one. */
bool nearest_is_near(struct slice word, struct slice candidate);

/* Keeps the best of the candidates shown to it. Start from {.word = w}. */
struct nearest {
    struct slice word;
    struct slice best; /* empty: none is near */
    unsigned distance;
};
void nearest_offer(struct nearest *, struct slice candidate);

#endif
