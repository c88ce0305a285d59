/* URL syntax: RFC 3986, 3.2.2. */
#include "client/cli/endpoint.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void endpoint_url(const char *host, uint32_t port, char out[ENDPOINT_URL_MAX])
{
    out[0] = '\0';
    if (port == 0)
        return;
    if (host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0)
        host = "127.0.0.1";
    bool is_ipv6 = strchr(host, ':') != NULL;
    int len = snprintf(out, ENDPOINT_URL_MAX, "http://%s%s%s:%u", is_ipv6 ? "[" : "", host,
        is_ipv6 ? "]" : "", port);
    if (len < 0 || len >= ENDPOINT_URL_MAX)
        out[0] = '\0';
}
