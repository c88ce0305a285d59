/* A listener with flocks.v1.SupervisorService behind it, and raw clients, all in one thread: the
 * listener's turns are taken while a client waits. */
#ifndef FLOCKS_TESTS_LISTENER_HOST_H
#define FLOCKS_TESTS_LISTENER_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crpc/listener.h"

struct host {
    char directory[64];
    char path[80];
    struct rpc_listener *listener;
    /* GetOperation: answered by host_release. */
    struct rpc_call *held;
    int cancelled;
    /* What was told as refused, last and in all. */
    const char *refusal;
    int refusals;
    bool is_nobody_admitted;
    enum rpc_result last_turn;
};

/* A private directory and a listener; `options` may be NULL (its hooks and data are replaced). */
void host_new(struct host *host, const struct rpc_listener_options *options);
/* The same, bound to host->path. */
void host_open(struct host *host, const struct rpc_listener_options *options);
void host_close(struct host *host);
/* Answers the held call. */
void host_release(struct host *host);
/* Waits for the listener's descriptor or its time, then takes one turn. */
void host_turn(struct host *host);
/* Turns until there is nothing to do at once. */
void host_settle(struct host *host);

/* A socket connected to host->path. */
int guest_connect(const struct host *host);
/* One request of a few bytes: GetStatus is answered with "token", GetOperation not at once.
 * `timeout_ms` may be 0. */
void guest_call(int fd, uint32_t stream, const char *method, int64_t timeout_ms);
/* GetStatus whose answer has `len` bytes. */
void guest_call_large(int fd, uint32_t stream, size_t len);
/* The bytes that come next, 0: closed. Takes turns meanwhile. */
size_t guest_receive(struct host *host, int fd, uint8_t *out, size_t size);
/* The status code of the one answer that comes next, for `stream`; -1: closed. */
int guest_answer(struct host *host, int fd, uint32_t stream);
bool guest_is_closed(struct host *host, int fd);

/* Descriptors of this process. */
size_t count_descriptors(void);

#endif
