/* Which URLs may be asked, and how they are shown. Pure. */
#ifndef FLOCKS_UPDATER_URL_H
#define FLOCKS_UPDATER_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* Longer URLs are refused. */
    URL_MAX = 2047,
    URL_HOST_MAX = 255
};

/* What is decided by. A plain value. */
struct url {
    bool is_https;
    /* localhost, 127.0.0.0/8 or [::1]. */
    bool is_loopback;
    char host[URL_HOST_MAX + 1];
    /* Without user, password, query and fragment: for messages and records. Plain text. */
    char shown[URL_MAX + 1];
};

/* -STATUS_INVALID_ARGUMENT: it is no URL, or one of another scheme than https and http;
 * -STATUS_PERMISSION_DENIED: http to another machine, and `allow_http` is false. */
NODISCARD int url_parse(const char *text, bool allow_http, struct url *out, struct error *error);

/* Whether a server at `from` may send us on to `to`: never from https to http.
 * -STATUS_PERMISSION_DENIED. */
NODISCARD int url_check_redirect(const struct url *from, const struct url *to, struct error *error);

/* `reference` as seen from `base` (RFC 3986, section 5): "../x.tar.xz" beside an index. */
NODISCARD int url_resolve(
    const char *base, const char *reference, char out[URL_MAX + 1], struct error *error);

#endif
