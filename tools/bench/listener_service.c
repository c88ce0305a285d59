/* A service whose listener goes and comes back by order: SIGUSR1 closes it, SIGUSR2 opens it again.
 * Says in its slot when it did, by the clock just before the call.
 *
 *   bench-listener SLOTS INDEX PORT */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "slots.h"

enum { BACKLOG = 16 };

static int open_listener(unsigned long port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, BACKLOG) < 0) {
        perror("listen");
        return -1;
    }
    return fd;
}

/* Until the port is not to be had. */
static void serve(struct slot *slot, unsigned long port, const sigset_t *orders)
{
    int fd = open_listener(port);

    slot_announce(slot, slots_now_ns());
    while (fd >= 0) {
        int order = 0;
        int64_t now_ns;

        (void)sigwait(orders, &order);
        now_ns = slots_now_ns();
        if (order == SIGUSR2)
            fd = open_listener(port);
        else
            (void)close(fd);
        slot_announce(slot, now_ns);
    }
}

int main(int argument_count, char **arguments)
{
    struct slot *slots;
    unsigned long index;
    sigset_t orders;

    if (argument_count != 4) {
        (void)fprintf(stderr, "usage: %s SLOTS INDEX PORT\n", arguments[0]);
        return 2;
    }
    (void)sigemptyset(&orders);
    (void)sigaddset(&orders, SIGUSR1);
    (void)sigaddset(&orders, SIGUSR2);
    if (pthread_sigmask(SIG_BLOCK, &orders, NULL) != 0)
        return 1;
    slots = slots_open(arguments[1]);
    index = strtoul(arguments[2], NULL, 10);
    if (slots == NULL || index >= SLOTS_MAX)
        return 1;
    serve(&slots[index], strtoul(arguments[3], NULL, 10), &orders);
    return 1;
}
