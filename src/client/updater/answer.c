#include "client/updater/answer.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

enum {
    VALUE_MAX = PART_VALIDATOR_MAX,
    /* Between Last-Modified and Date, for clocks that differ (RFC 9110, 8.8.2.2). */
    DATE_STRONG_S = 60
};

/* The value of header `name`, trimmed; longer ones and those with control characters are none. */
static bool take_value(const char *line, size_t len, const char *name, char out[VALUE_MAX + 1])
{
    size_t name_len = strlen(name);
    if (len <= name_len || line[name_len] != ':' || strncasecmp(line, name, name_len) != 0)
        return false;
    line += name_len + 1;
    len -= name_len + 1;
    while (len > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    while (len > 0 && (unsigned char)line[len - 1] <= ' ')
        len--;
    if (len > VALUE_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            return false;
    }
    memcpy(out, line, len);
    out[len] = '\0';
    return true;
}

static bool take_number(const char **at, uint64_t *out)
{
    char *end = NULL;
    if (!isdigit((unsigned char)**at))
        return false;
    errno = 0;
    *out = strtoull(*at, &end, 10);
    *at = end;
    return errno == 0;
}

/* "bytes 100-199/200", "bytes 100-199/" and a star (RFC 9110, 14.4). */
static void take_range(struct answer *answer, const char *value)
{
    uint64_t start = 0;
    uint64_t end = 0;
    uint64_t total = 0;
    if (strncasecmp(value, "bytes ", 6) != 0)
        return;
    value += 6;
    if (!take_number(&value, &start) || *value++ != '-' || !take_number(&value, &end) ||
        *value++ != '/')
        return;
    bool has_total = strcmp(value, "*") != 0;
    if (has_total && (!take_number(&value, &total) || *value != '\0' || end >= total))
        return;
    if (end < start)
        return;
    answer->has_range = true;
    answer->range_start = start;
    answer->range_total = total;
}

static void take_retry_after(struct answer *answer, const char *value, int64_t now_s)
{
    uint64_t seconds = 0;
    const char *at = value;
    if (take_number(&at, &seconds) && *at == '\0') {
        answer->retry_after_ms =
            seconds > INT32_MAX ? (int64_t)INT32_MAX * 1000 : (int64_t)seconds * 1000;
        return;
    }
    int64_t when = curl_getdate(value, NULL);
    if (when >= 0)
        answer->retry_after_ms = when > now_s ? (when - now_s) * 1000 : 0;
}

/* "HTTP/1.1 206 Partial Content", "HTTP/2 206". */
static void take_status(struct answer *answer, const char *line, size_t len)
{
    *answer = (struct answer){.header_bytes = answer->header_bytes, .retry_after_ms = -1};
    const char *space = memchr(line, ' ', len);
    if (space != NULL && (size_t)(line + len - space) > 3)
        answer->status = (space[1] - '0') * 100 + (space[2] - '0') * 10 + (space[3] - '0');
}

void answer_take_line(struct answer *answer, const char *line, size_t len, int64_t now_s)
{
    char value[VALUE_MAX + 1];
    answer->header_bytes += len;
    if (len > 5 && strncmp(line, "HTTP/", 5) == 0)
        take_status(answer, line, len);
    else if (take_value(line, len, "content-type", value))
        answer->is_html = strncasecmp(value, "text/html", 9) == 0 ||
                          strncasecmp(value, "application/xhtml", 17) == 0;
    else if (take_value(line, len, "content-range", value))
        take_range(answer, value);
    else if (take_value(line, len, "retry-after", value))
        take_retry_after(answer, value, now_s);
    else if (take_value(line, len, "date", value))
        answer->date_s = curl_getdate(value, NULL);
    else if (take_value(line, len, "etag", value))
        memcpy(answer->etag, value, sizeof answer->etag);
    else if (take_value(line, len, "last-modified", value))
        memcpy(answer->last_modified, value, sizeof answer->last_modified);
}

const char *answer_validator(const struct answer *answer)
{
    /* W/"..." is a weak one. */
    if (answer->etag[0] == '"')
        return answer->etag;
    int64_t modified =
        answer->last_modified[0] == '\0' ? -1 : curl_getdate(answer->last_modified, NULL);
    bool is_strong =
        modified >= 0 && answer->date_s > 0 && answer->date_s - modified >= DATE_STRONG_S;
    return is_strong ? answer->last_modified : "";
}

bool answer_looks_like_page(const uint8_t *bytes, size_t len)
{
    static const char *const beginnings[] = {"<!doctype html", "<html"};
    if (len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        bytes += 3;
        len -= 3;
    }
    while (len > 0 && isspace(*bytes)) {
        bytes++;
        len--;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(beginnings); i++) {
        size_t n = strlen(beginnings[i]);
        if (len >= n && strncasecmp((const char *)bytes, beginnings[i], n) == 0)
            return true;
    }
    return false;
}
