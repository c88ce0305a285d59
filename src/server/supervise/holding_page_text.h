/* What the holding page says, in each language, for people and for programs. Pure; private to
 * holding_page_http.c. */
#ifndef FLOCKS_SUPERVISE_HOLDING_PAGE_TEXT_H
#define FLOCKS_SUPERVISE_HOLDING_PAGE_TEXT_H

#include "server/supervise/holding_page_http.h"

/* Header by which the page knows that it is still being answered by another copy of itself. */
#define HOLDING_MARK "Flocks-Holding-Page"
/* The page needs nothing but itself, and to ask for its own address again. */
#define HOLDING_POLICY                                                                             \
    "Content-Security-Policy: default-src 'none'; connect-src 'self'; img-src data:; "             \
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; "                     \
    "form-action 'none'\r\n"

/* BCP 47. */
const char *holding_text_language(enum holding_language language);
/* Appends a whole HTML document, which asks for its own address until something else answers, then
 * loads it again, fragment and all; without JavaScript it loads `request->path` every
 * HOLDING_RETRY_AFTER_S. */
NODISCARD int holding_text_page(
    enum holding_notice notice, const struct holding_request *request, struct buffer *out);
/* Appends {"status":503,"error":"UPDATING","message":...,"retry_after":...} and a new line. */
NODISCARD int holding_text_json(
    enum holding_notice notice, enum holding_language language, struct buffer *out);

#endif
