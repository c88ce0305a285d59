/* Who may call over TCP: whoever has the token, and names this machine while asking.
 *
 * Pure. A unix socket needs no gate: the kernel says who connected. */
#ifndef FLOCKS_TRANSPORT_GATE_H
#define FLOCKS_TRANSPORT_GATE_H

#include <stdbool.h>

#include "common/base/token.h"

enum gate_verdict {
    GATE_OPEN,
    /* No `authorization: Bearer ...`. */
    GATE_NO_TOKEN,
    GATE_WRONG_TOKEN,
    /* The authority is another machine's name: a browser was led here (DNS rebinding). */
    GATE_FOREIGN
};

/* What a call shows. Borrowed. */
struct gate_claim {
    /* ttrpc has no authority, and is let in for all its connection's life by one call. */
    bool is_http2;
    bool has_entered;
    /* As the peer wrote it; "" if it did not. */
    const char *authority;
    /* The metadata's first `authorization`; NULL: none. */
    const char *authorization;
};

enum gate_verdict gate_judge(const struct token *token, const struct gate_claim *claim);

/* 127.0.0.1, [::1] or localhost, alone or with a port (RFC 9110, 7.2). */
bool gate_is_loopback(const char *authority);

#endif
