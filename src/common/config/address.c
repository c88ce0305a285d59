#include "common/config/address.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

enum family { NOT_AN_ADDRESS, VERSION_4, VERSION_6 };

struct address {
    enum family family;
    bool is_wildcard;
    unsigned char bytes[16];
    size_t len;
};

static struct address parse(const char *host)
{
    static const unsigned char zeros[16];
    struct address address = {NOT_AN_ADDRESS, false, {0}, 0};
    if (strcasecmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (inet_pton(AF_INET, host, address.bytes) == 1) {
        address.family = VERSION_4;
        address.len = 4;
    } else if (inet_pton(AF_INET6, host, address.bytes) == 1) {
        address.family = VERSION_6;
        address.len = 16;
    }
    address.is_wildcard = address.len > 0 && memcmp(address.bytes, zeros, address.len) == 0;
    return address;
}

bool address_is_valid(const char *host)
{
    return parse(host).family != NOT_AN_ADDRESS;
}

bool address_overlaps(const char *a, const char *b)
{
    struct address x = parse(a);
    struct address y = parse(b);
    /* "::" takes IPv4 as well, unless the program asks otherwise. */
    if ((x.is_wildcard && x.family == VERSION_6) || (y.is_wildcard && y.family == VERSION_6))
        return true;
    if (x.family != y.family)
        return false;
    return x.is_wildcard || y.is_wildcard || memcmp(x.bytes, y.bytes, sizeof(x.bytes)) == 0;
}

/* A wildcard names no place to connect to: its family's loopback address stands for it. */
static const char *host_to_connect(const char *host)
{
    struct address address = parse(host);
    if (strcasecmp(host, "localhost") == 0)
        return "127.0.0.1";
    if (!address.is_wildcard)
        return host;
    return address.family == VERSION_4 ? "127.0.0.1" : "::1";
}

char *address_url(const char *host, unsigned port, struct arena *arena)
{
    host = host_to_connect(host);
    bool needs_brackets = strchr(host, ':') != NULL;
    return arena_printf(arena, needs_brackets ? "http://[%s]:%u" : "http://%s:%u", host, port);
}
