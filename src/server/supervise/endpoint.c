/* Numeric addresses out of configured hosts. Pure. */
#include "server/supervise/endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* Hosts that are not addresses, and what they stand for. */
static const struct {
    const char *host;
    bool is_wildcard;
    const char *addresses[ENDPOINT_ADDRESSES_MAX];
} known_hosts[] = {
    {"", true, {"127.0.0.1", NULL}},
    {"*", true, {"127.0.0.1", NULL}},
    {"0.0.0.0", true, {"127.0.0.1", NULL}},
    {"::", true, {"::1", NULL}},
    {"localhost", false, {"127.0.0.1", "::1"}},
};

static bool address_from_text(const char *text, uint16_t port, union endpoint_address *out)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        return true;
    }
    if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        return true;
    }
    return false;
}

static void add_address(struct endpoint *endpoint, const char *text, uint16_t port)
{
    if (address_from_text(text, port, &endpoint->addresses[endpoint->count]))
        endpoint->count++;
}

int endpoint_resolve(const char *host, uint16_t port, struct endpoint *out, struct error *error)
{
    char bare[INET6_ADDRSTRLEN];
    size_t len = strlen(host);
    bool has_brackets = len >= 2 && host[0] == '[' && host[len - 1] == ']';
    (void)snprintf(bare, sizeof bare, "%.*s", (int)(has_brackets ? len - 2 : len),
        has_brackets ? host + 1 : host);
    if (port == 0)
        return error_set(error, STATUS_INVALID_ARGUMENT, "port 0 cannot be looked up");

    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < ARRAY_LENGTH(known_hosts); i++) {
        if (strcmp(known_hosts[i].host, bare) != 0)
            continue;
        for (size_t n = 0; n < ENDPOINT_ADDRESSES_MAX && known_hosts[i].addresses[n] != NULL; n++)
            add_address(out, known_hosts[i].addresses[n], port);
        out->is_wildcard = known_hosts[i].is_wildcard;
        return 0;
    }
    add_address(out, bare, port);
    if (out->count == 1)
        return 0;
    int result = error_set(error, STATUS_INVALID_ARGUMENT, "host \"%s\" is not an address", host);
    error_set_hint(error, "give a numeric IPv4 or IPv6 address, or localhost");
    return result;
}

socklen_t endpoint_address_length(const union endpoint_address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

uint16_t endpoint_address_port(const union endpoint_address *address)
{
    return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port);
}

void endpoint_address_text(const union endpoint_address *address, char out[ENDPOINT_TEXT_MAX])
{
    char text[INET6_ADDRSTRLEN] = "?";
    bool is_v6 = address->any.sa_family == AF_INET6;
    if (is_v6)
        (void)inet_ntop(AF_INET6, &address->v6.sin6_addr, text, sizeof text);
    else
        (void)inet_ntop(AF_INET, &address->v4.sin_addr, text, sizeof text);
    (void)snprintf(out, ENDPOINT_TEXT_MAX, is_v6 ? "[%s]:%u" : "%s:%u", text,
        (unsigned)endpoint_address_port(address));
}
