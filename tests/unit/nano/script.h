/* A server that has said everything already: the bytes of its answers wait in a socket before the
 * call is made, since a client's stream ids are known. */
#ifndef TESTS_UNIT_NANO_SCRIPT_H
#define TESTS_UNIT_NANO_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flocks/nano.h"

#include "common/rpc/envelope.h"
#include "common/rpc/frame.h"

enum { SCRIPT_BYTES_MAX = 160 * 1024, SCRIPT_SEEN_MAX = 512 };

struct script {
    struct flocks_nano nano;
    struct flocks_nano_error error;
    /* The server's end. */
    int peer;
    uint8_t bytes[SCRIPT_BYTES_MAX];
    size_t len;
    /* What the callbacks were told. */
    size_t n_seen;
    char seen[SCRIPT_SEEN_MAX][64];
    flocks_get_status_response status;
};

/* Fixtures of a cmocka test: *state is the script, connected. */
int script_set_up(void **state);
int script_tear_down(void **state);

/* Appends to the script. */
void script_raw(struct script *script, const void *bytes, size_t len);
void script_frame(
    struct script *script, uint32_t stream_id, uint8_t type, const uint8_t *body, size_t len);
void script_response(
    struct script *script, uint32_t stream_id, const struct rpc_response_envelope *response);
/* A successful answer with this payload. */
void script_payload(struct script *script, uint32_t stream_id, const uint8_t *payload, size_t len);
/* GetStatusResponse: a daemon with pid 7, and `n` services "s0", "s1" ... */
void script_status(struct script *script, uint32_t stream_id, size_t n);

/* Sends script->bytes[from] to script->bytes[to - 1]. */
void script_say(const struct script *script, size_t from, size_t to);
/* And nothing will follow. */
void script_end(const struct script *script);

/* GetStatus of all, into script->status and script->seen. */
enum rpc_code script_get_status(struct script *script);

#endif
