/* One connection whose other end, clock and memory the test decides: every read, write, wait and
 * allocation of the code under test comes here (linked with FAKE_WIRE_WRAPS of CMakeLists.txt).
 * Waiting takes no time: it moves the clock. */
#ifndef FLOCKS_TESTS_FAKE_WIRE_H
#define FLOCKS_TESTS_FAKE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crpc/crpc.h"

enum fake_operation {
    FAKE_ALLOCATE,
    FAKE_READ,
    FAKE_WRITE,
    FAKE_WAIT,
    FAKE_CONNECT, /* socket, setsockopt, connect */
    FAKE_OPERATIONS
};

struct fake_wire {
    int64_t now_ms;
    /* Most bytes of one read and of one write; 0: no limit. */
    size_t read_max;
    size_t write_max;
    /* Bytes that the socket still takes before it is full; SIZE_MAX: it never is. */
    size_t room;
    /* Counted since fake_wire_open. */
    int n_done[FAKE_OPERATIONS];
    /* The operation of `failing` after so many others fails with `error_number` (EINTR and EAGAIN
     * as such; 0: a read ends, a write is short). -1: none does. */
    enum fake_operation failing;
    int fails_after;
    int error_number;
    bool has_failed;
    /* Allocations that were not freed. */
    int n_live;
};

extern struct fake_wire wire;

/* Forgets everything. Then opens: a descriptor that stands for the connection. */
int fake_wire_open(void);
/* Also what was never read. Fails the test when descriptors or memory are left. */
void fake_wire_close(void);

/* The peer says bytes (as hex.h has them) once it has heard `n_frames` whole frames, and `after_ms`
 * more have passed since the saying before it. */
void fake_wire_say(size_t n_frames, int64_t after_ms, const char *hex);
void fake_wire_say_bytes(size_t n_frames, int64_t after_ms, const uint8_t *bytes, size_t len);
/* Then closes the connection (0), or breaks it. */
void fake_wire_hang_up(size_t n_frames, int64_t after_ms, int error_number);
/* What was heard of it since the start. */
const uint8_t *fake_wire_heard(size_t *out_len);

/* ---- a service to talk about ---- */

/* All four kinds; request and response are flocks_get_operation_request, whose operation_id is the
 * text. */
extern const struct rpc_method TALK_ASK, TALK_LISTEN, TALK_TELL, TALK_CHAT;

/* Sayings of the peer on stream `id`: a message of a stream, the end with OK, the answer of a call
 * with one, an error. */
void talk_message(size_t n_frames, unsigned id, const char *text);
void talk_end(size_t n_frames, unsigned id);
void talk_answer(size_t n_frames, unsigned id, const char *text);
void talk_error(size_t n_frames, unsigned id, unsigned code, const char *text);
/* Frames of `type` that were heard on stream `id`. */
size_t talk_heard(unsigned id, unsigned type);

#endif
