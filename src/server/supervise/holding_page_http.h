/* The HTTP half of the holding page, without I/O: a reader that eats the bytes of one request until
 * it knows what is asked, and the whole answer to it. HTTP/1.0 and 1.1 (RFC 9112); whatever is
 * asked, the service is not there (503), so nothing of a request is looked at but what shapes that
 * answer. */
#ifndef FLOCKS_SUPERVISE_HOLDING_PAGE_HTTP_H
#define FLOCKS_SUPERVISE_HOLDING_PAGE_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/attributes.h"
#include "common/base/buffer.h"

enum {
    /* Bytes of a request's line and headers; more is answered 431. Protects against a request
     * without end. What follows the headers is not read here. */
    HOLDING_REQUEST_MAX = 16 * 1024,
    /* Bytes of a path and query with their NUL that are looked at. */
    HOLDING_PATH_MAX = 512,
    /* Bytes of Accept and of Accept-Language that are looked at; the rest is ignored. */
    HOLDING_VALUE_MAX = 512,
    /* Bytes of an answer; all there are fit (asserted by a test). */
    HOLDING_ANSWER_MAX = 8 * 1024,
    /* Told to programs: ask again after this; also how often a page without JavaScript does. */
    HOLDING_RETRY_AFTER_S = 2
};

/* What the page says. */
enum holding_notice {
    HOLDING_UPDATING,
    /* The roll-back failed: a person is needed. */
    HOLDING_STUCK
};

enum holding_language { HOLDING_ENGLISH, HOLDING_CHINESE };

/* The language of an Accept-Language value (RFC 9110 12.5.4; RFC 4647 basic filtering): of "en" and
 * "zh" with all their variants the one of the greater weight, else the one named first; English
 * when neither is named or the value is none. */
enum holding_language holding_language_of(const char *accept_language);

/* Plain value: what shapes an answer. */
struct holding_request {
    /* 503; or 400: that was no request; or 431: it was too long. */
    unsigned status;
    /* HEAD: the same headers, no body. */
    bool is_head;
    /* A program asks: the path is below /api, or JSON is accepted and HTML is not. */
    bool wants_json;
    enum holding_language language;
    /* Path and query for a page without JavaScript to come back to, which cannot reload an address
     * with a fragment; "" where it is too long or has a character that is not plain in HTML, in
     * `refresh` or at the beginning of a path. */
    char path[HOLDING_PATH_MAX];
};

struct holding_reader;

/* RESOURCE_EXHAUSTED: memory. */
NODISCARD int holding_reader_new(struct holding_reader **out);
/* NULL is accepted. */
void holding_reader_free(struct holding_reader *reader);
/* Eats bytes. True: what is asked is known (holding_reader_request), nothing more is read. */
bool holding_reader_feed(struct holding_reader *reader, const char *bytes, size_t len);
/* Before it is known: the request is as one that was cut off, 400. */
struct holding_request holding_reader_request(const struct holding_reader *reader);

/* Appends the whole answer: 503 with Retry-After and Cache-Control: no-store, as a page that needs
 * nothing but itself or as JSON; the others as a short text. Each says Connection: close.
 * RESOURCE_EXHAUSTED: memory. */
NODISCARD int holding_answer(
    const struct holding_request *request, enum holding_notice notice, struct buffer *out);

#endif
