#include "ports.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

enum { PORTS_BEGIN = 15000, PORTS_END = 32000 };

static bool is_free(uint16_t port)
{
    const struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT, .sin6_port = htons(port)};
    const int off = 0;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_bound;

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off), 0);
    is_bound = bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    assert_true(is_bound || errno == EADDRINUSE);
    (void)close(fd);
    return is_bound;
}

uint16_t ports_choose(void)
{
    static uint16_t next;

    /* Processes that follow each other begin apart. */
    if (next == 0)
        next = (uint16_t)(PORTS_BEGIN + getpid() * INT64_C(37) % (PORTS_END - PORTS_BEGIN));
    for (int i = PORTS_BEGIN; i < PORTS_END; i++) {
        uint16_t port = next;

        next = next + 1 < PORTS_END ? (uint16_t)(next + 1) : PORTS_BEGIN;
        if (is_free(port))
            return port;
    }
    fail_msg("no port is free");
    return 0;
}
