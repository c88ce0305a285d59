/* The attacks that these numbers are against send frames that cost their sender little and us
 * memory or time: rapid reset (CVE-2023-44487), resets that we are made to send (CVE-2025-8671),
 * CONTINUATION without end (CVE-2024-28182), and floods of pings, settings and empty frames
 * (CVE-2019-9511 to 9518). */
#include "common/rpc/http2_guard.h"

#include <string.h>

#include "common/base/clock.h"
#include "crpc/limits.h"

enum {
    PREFACE_BYTES = 24,
    TYPE_DATA = 0,
    TYPE_HEADERS = 1,
    TYPE_PRIORITY = 2,
    TYPE_RST_STREAM = 3,
    TYPE_SETTINGS = 4,
    TYPE_PUSH_PROMISE = 5,
    TYPE_CONTINUATION = 9,
    FLAG_END_STREAM = 0x1,
    FLAG_ACK = 0x1,
    FLAG_END_HEADERS = 0x4,
    FLAG_PADDED = 0x8,
    ERROR_PROTOCOL = 1,
    ERROR_FRAME_SIZE = 6,
    ERROR_CALM = 11,
    /* We announce no more (RFC 9113, 6.5.2). */
    FRAME_BYTES_MAX = 1 << 14
};

void http2_guard_init(struct http2_guard *guard, int64_t now_ms)
{
    *guard = (struct http2_guard){
        .preface_left = PREFACE_BYTES,
        .resets = {.left = RPC_HTTP2_RESETS_MAX, .filled_at = now_ms},
        .settings = {.left = RPC_HTTP2_SETTINGS_MAX, .filled_at = now_ms},
        .control = {.left = RPC_HTTP2_CONTROL_MAX, .filled_at = now_ms},
        .error = ERROR_CALM,
        .incomplete_since = CLOCK_NEVER,
    };
}

/* ---- how many ---- */

static void add(struct http2_bucket *bucket, int64_t n, uint32_t max)
{
    bucket->left = n >= max - bucket->left ? max : bucket->left + (uint32_t)n;
}

/* False: it is empty. */
static bool take(struct http2_bucket *bucket, uint32_t max, uint32_t per_second, int64_t now_ms)
{
    int64_t passed_ms = now_ms - bucket->filled_at;
    int64_t full_ms = (int64_t)max * 1000 / per_second + 1;
    if (passed_ms >= full_ms) {
        bucket->left = max;
        bucket->filled_at = now_ms;
    } else if (passed_ms > 0) {
        int64_t n = passed_ms * per_second / 1000;
        add(bucket, n, max);
        /* What was not enough for one more goes on counting. */
        bucket->filled_at += n * 1000 / per_second;
    }
    if (bucket->left == 0)
        return false;
    bucket->left--;
    return true;
}

bool http2_guard_count_reset(struct http2_guard *guard, int64_t now_ms)
{
    return take(&guard->resets, RPC_HTTP2_RESETS_MAX, RPC_HTTP2_RESETS_PER_SECOND, now_ms);
}

void http2_guard_credit(struct http2_guard *guard)
{
    add(&guard->control, RPC_HTTP2_CONTROL_PER_FRAME, RPC_HTTP2_CONTROL_MAX);
}

/* ---- which ---- */

static size_t body_len_of(const uint8_t *head)
{
    return (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
}

static const char *count_control(struct http2_guard *guard, int64_t now_ms)
{
    return take(&guard->control, RPC_HTTP2_CONTROL_MAX, RPC_HTTP2_CONTROL_PER_SECOND, now_ms)
               ? NULL
               : "too many frames without content";
}

static const char *judge_settings(struct http2_guard *guard, int64_t now_ms)
{
    return take(&guard->settings, RPC_HTTP2_SETTINGS_MAX, RPC_HTTP2_SETTINGS_PER_SECOND, now_ms)
               ? NULL
               : "too many SETTINGS";
}

static const char *judge_continuation(struct http2_guard *guard)
{
    if (++guard->n_continuations > RPC_HTTP2_CONTINUATIONS_MAX)
        return "too many CONTINUATION frames for one header block";
    return NULL;
}

/* Content: a request, or a part of a message. */
static bool has_content(uint8_t type, uint8_t flags, size_t body_len)
{
    if (type == TYPE_HEADERS)
        return true;
    /* What is padded may be nothing but padding; a byte of it is not worth looking for. */
    return type == TYPE_DATA &&
           ((body_len > 0 && (flags & FLAG_PADDED) == 0) || (flags & FLAG_END_STREAM) != 0);
}

static uint32_t stream_of(const uint8_t *head)
{
    return (uint32_t)(head[5] & 0x7f) << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 |
           head[8];
}

/* Two rules that nghttp2 does not keep (RFC 9113, 4.2 and 6.3): it takes CONTINUATION of any size,
 * and passes over PRIORITY altogether since we announce that we have none. NULL: they are kept. */
static const char *judge_frame(struct http2_guard *guard)
{
    uint8_t type = guard->head[3];
    if (type == TYPE_CONTINUATION && guard->body_left > FRAME_BYTES_MAX) {
        guard->error = ERROR_FRAME_SIZE;
        return "a CONTINUATION frame is larger than announced";
    }
    if (type == TYPE_PRIORITY && !guard->is_in_block && stream_of(guard->head) == 0) {
        guard->error = ERROR_PROTOCOL;
        return "PRIORITY names no stream";
    }
    return NULL;
}

static const char *judge(struct http2_guard *guard, int64_t now_ms)
{
    const char *objection = judge_frame(guard);
    if (objection != NULL)
        return objection;
    uint8_t type = guard->head[3];
    uint8_t flags = guard->head[4];
    if (type == TYPE_HEADERS || type == TYPE_CONTINUATION) {
        guard->is_in_block = (flags & FLAG_END_HEADERS) == 0;
        if (type == TYPE_HEADERS)
            guard->n_continuations = 0;
    }
    if (has_content(type, flags, guard->body_left)) {
        http2_guard_credit(guard);
        return NULL;
    }
    switch (type) {
    case TYPE_CONTINUATION:
        return judge_continuation(guard);
    case TYPE_SETTINGS:
        return (flags & FLAG_ACK) == 0 ? judge_settings(guard, now_ms)
                                       : count_control(guard, now_ms);
    case TYPE_RST_STREAM:
        return http2_guard_count_reset(guard, now_ms) ? NULL : "too many streams were reset";
    default:
        return count_control(guard, now_ms);
    }
}

/* ---- where they end ---- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void note_time(struct http2_guard *guard, int64_t now_ms)
{
    bool is_whole = guard->preface_left == 0 && guard->head_len == 0 && !guard->is_in_block;
    if (is_whole)
        guard->incomplete_since = CLOCK_NEVER;
    else if (guard->incomplete_since == CLOCK_NEVER)
        guard->incomplete_since = now_ms;
}

/* The bytes up to where a head is whole, and then up to where its frame is. */
static size_t look_at_frame(struct http2_guard *guard, const uint8_t *bytes, size_t len,
    int64_t now_ms, const char **out_objection)
{
    size_t used = 0;
    if (guard->head_len < sizeof guard->head) {
        used = least(len, sizeof guard->head - guard->head_len);
        memcpy(guard->head + guard->head_len, bytes, used);
        guard->head_len += used;
        if (guard->head_len < sizeof guard->head)
            return used;
        guard->body_left = body_len_of(guard->head);
        *out_objection = judge(guard, now_ms);
    }
    size_t body = least(len - used, guard->body_left);
    guard->body_left -= body;
    if (guard->body_left == 0)
        guard->head_len = 0;
    return used + body;
}

size_t http2_guard_look(struct http2_guard *guard, const uint8_t *bytes, size_t len, int64_t now_ms,
    const char **out_objection)
{
    *out_objection = NULL;
    size_t used = least(len, guard->preface_left);
    if (used > 0)
        guard->preface_left -= used;
    else
        used = look_at_frame(guard, bytes, len, now_ms, out_objection);
    note_time(guard, now_ms);
    return used;
}
