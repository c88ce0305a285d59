#include "server/transport/gate.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "common/base/attributes.h"

static bool is_port(const char *text)
{
    enum { DIGITS_MAX = 5 };
    size_t len = strspn(text, "0123456789");

    return len > 0 && len <= DIGITS_MAX && text[len] == '\0';
}

bool gate_is_loopback(const char *authority)
{
    static const char *const names[] = {"127.0.0.1", "[::1]", "localhost"};

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        size_t len = strlen(names[i]);
        const char *rest = authority + len;

        if (strncasecmp(authority, names[i], len) != 0)
            continue;
        if (rest[0] == '\0' || (rest[0] == ':' && is_port(rest + 1)))
            return true;
    }
    return false;
}

/* The scheme's name is written in any case (RFC 9110, 11.1), then spaces. NULL: another scheme. */
static const char *find_token(const char *authorization)
{
    static const char scheme[] = "bearer ";

    if (strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
        return NULL;
    authorization += sizeof(scheme) - 1;
    return authorization + strspn(authorization, " ");
}

enum gate_verdict gate_judge(const struct token *token, const struct gate_claim *claim)
{
    const char *given = claim->authorization ? find_token(claim->authorization) : NULL;

    if (claim->is_http2 && !gate_is_loopback(claim->authority))
        return GATE_FOREIGN;
    if (!claim->is_http2 && claim->has_entered)
        return GATE_OPEN;
    if (!given)
        return GATE_NO_TOKEN;
    return token_matches(token, given, strlen(given)) ? GATE_OPEN : GATE_WRONG_TOKEN;
}
