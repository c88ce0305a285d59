/* What the headers of one answer say, as far as downloads care. Pure: lines in, values out. */
#ifndef FLOCKS_UPDATER_ANSWER_H
#define FLOCKS_UPDATER_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/updater/part.h"

struct answer {
    /* 0: no status line yet. */
    int status;
    size_t header_bytes;
    bool is_html;
    /* -1: none. */
    int64_t retry_after_ms;
    /* Of Content-Range; total 0: not told. */
    bool has_range;
    uint64_t range_start;
    uint64_t range_total;
    char etag[PART_VALIDATOR_MAX + 1];
    char last_modified[PART_VALIDATOR_MAX + 1];
    int64_t date_s;
};

/* One line as it came, with its end. A status line begins a new answer (after 1xx). `now_s`: for a
 * Retry-After that is a date. */
void answer_take_line(struct answer *answer, const char *line, size_t len, int64_t now_s);

/* What If-Range may say about this answer: a strong ETag, else a date that is strong by RFC
 * 9110, 8.8.2.2; else "". */
const char *answer_validator(const struct answer *answer);

/* What a body begins with when it is a web page, whatever its header says. */
bool answer_looks_like_page(const uint8_t *bytes, size_t len);

#endif
