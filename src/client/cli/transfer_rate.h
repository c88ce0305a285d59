/* How fast bytes come, of the last seconds, and how long the others will take. Pure. */
#ifndef FLOCKS_CLI_TRANSFER_RATE_H
#define FLOCKS_CLI_TRANSFER_RATE_H

#include <stddef.h>
#include <stdint.h>

enum {
    TRANSFER_RATE_SAMPLES = 32,
    /* Between two samples that are kept: all of them span eight seconds. */
    TRANSFER_RATE_SAMPLE_MS = 250,
    /* Of less nothing is said. */
    TRANSFER_RATE_SPAN_MS = 1000
};

/* Embedded by value; zeroed: nothing came yet. */
struct transfer_rate {
    struct {
        int64_t at_ms;
        uint64_t bytes;
    } samples[TRANSFER_RATE_SAMPLES];
    size_t n; /* all that were kept; the last ones are there */
};

/* `bytes` are there at `now_ms`. Fewer than before: another file, it begins anew. */
void transfer_rate_add(struct transfer_rate *rate, int64_t now_ms, uint64_t bytes);
/* Bytes a second; -1: not known yet. Sinks while nothing comes. */
int64_t transfer_rate_per_s(const struct transfer_rate *rate, int64_t now_ms);
/* Seconds until `total`; -1: nobody knows. */
int64_t transfer_rate_left_s(const struct transfer_rate *rate, int64_t now_ms, uint64_t total);

#endif
