/* A transport on a real unix socket in a private directory, with a service whose handlers the test
 * sees. */
#ifndef TEST_TRANSPORT_HARNESS_H
#define TEST_TRANSPORT_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "flocks/v1/supervisor.server.h"

#include "crpc/crpc.h"
#include "server/transport/transport.h"

struct harness {
    uv_loop_t loop;
    /* Of somebody else, started before the transport's: libuv runs it after that. */
    uv_prepare_t late_prepare;
    bool release_in_prepare;
    struct transport *transport;
    int listen_fd;
    char directory[64];
    char path[96];
    /* GetOperation is held until the test answers it. */
    struct rpc_call *held;
    int cancelled;
};

/* `connections_max` as in transport_setup. */
void harness_open(struct harness *harness, size_t connections_max);
/* The same with the test's own handlers, whose `self` is the harness. */
void harness_open_with(struct harness *harness, const struct flocks_supervisor_handlers *handlers);
void harness_close(struct harness *harness);
/* Answers the held call. */
void harness_release(struct harness *harness);
/* One turn of the loop, without waiting; fails the test when `deadline_at` has passed. */
void harness_turn(struct harness *harness, int64_t deadline_at);
/* When what has begun now must have happened. */
int64_t harness_deadline(void);
/* Turns the loop until *flag is not 0. Fails the test after some seconds. */
void harness_run_until(struct harness *harness, const int *flag);

/* A client socket, connected, non-blocking. */
int client_connect(const struct harness *harness);
/* A socket that is not connected yet. */
int client_socket(void);
void client_join(int fd, const struct harness *harness);
/* One ttrpc request frame of SupervisorService; returns its length. */
size_t client_frame(uint8_t *out, uint32_t stream, const char *method);
void client_send(int fd, const void *bytes, size_t len);
/* Turns the loop until something arrives; 0: the server closed. */
size_t client_receive(struct harness *harness, int fd, uint8_t *out, size_t size);
/* True: a whole Response frame for `stream`. */
bool client_has_answer(struct harness *harness, int fd, uint32_t stream);
bool client_is_closed(struct harness *harness, int fd);

#endif
