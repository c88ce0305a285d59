#include "client/cli/transfer_rate.h"

enum { MS_PER_S = 1000 };

static size_t newest(const struct transfer_rate *rate)
{
    return (rate->n - 1) % TRANSFER_RATE_SAMPLES;
}

static size_t oldest(const struct transfer_rate *rate)
{
    return rate->n > TRANSFER_RATE_SAMPLES ? rate->n % TRANSFER_RATE_SAMPLES : 0;
}

void transfer_rate_add(struct transfer_rate *rate, int64_t now_ms, uint64_t bytes)
{
    if (rate->n > 0 && bytes < rate->samples[newest(rate)].bytes)
        rate->n = 0;
    if (rate->n > 0 && now_ms - rate->samples[newest(rate)].at_ms < TRANSFER_RATE_SAMPLE_MS)
        return;
    rate->n++;
    rate->samples[newest(rate)].at_ms = now_ms;
    rate->samples[newest(rate)].bytes = bytes;
}

int64_t transfer_rate_per_s(const struct transfer_rate *rate, int64_t now_ms)
{
    if (rate->n == 0)
        return -1;
    int64_t span_ms = now_ms - rate->samples[oldest(rate)].at_ms;
    uint64_t bytes = rate->samples[newest(rate)].bytes - rate->samples[oldest(rate)].bytes;
    if (span_ms < TRANSFER_RATE_SPAN_MS)
        return -1;
    return (int64_t)((double)bytes * MS_PER_S / (double)span_ms);
}

int64_t transfer_rate_left_s(const struct transfer_rate *rate, int64_t now_ms, uint64_t total)
{
    int64_t per_s = transfer_rate_per_s(rate, now_ms);
    if (per_s <= 0)
        return -1;
    uint64_t bytes = rate->samples[newest(rate)].bytes;
    uint64_t left = total > bytes ? total - bytes : 0;
    return (int64_t)((left + (uint64_t)per_s - 1) / (uint64_t)per_s);
}
