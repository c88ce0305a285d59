/* A simple model of calls between a client and a server, for tests that drive both ends through
 * random schedules: it remembers what each side did and says at once when the other side sees
 * anything else. It knows nothing of sessions or engines.
 *
 * Held: a call opens once, ends once on either side, and nothing comes of it afterwards; messages
 * come in order and whole; none is lost unless the call was given up or the connection lost; no
 * side is handed more than RPC_INBOUND_*. */
#ifndef FLOCKS_TESTS_MODEL_H
#define FLOCKS_TESTS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crpc/code.h"
#include "crpc/limits.h"
#include "crpc/method.h"

enum { MODEL_CALLS_MAX = 256, MODEL_MESSAGES_MAX = 64 };

enum model_side { MODEL_CLIENT, MODEL_SERVER };

/* Messages in one direction. */
struct model_flow {
    size_t lens[MODEL_MESSAGES_MAX];
    size_t n_sent;
    size_t n_got;
    /* Of n_got, those of a side that streams which were dealt with. */
    size_t n_taken;
};

struct model_call {
    struct model *model;
    size_t index;
    enum rpc_kind kind;
    /* [MODEL_CLIENT]: what the client sends. */
    struct model_flow flows[2];
    bool is_half_closed;
    bool half_close_was_seen;
    bool is_cancelled;
    /* A side was at its bound, and the call ended for that. */
    bool is_overrun;
    bool is_finished;
    enum rpc_code finish_code;
    unsigned n_opened;
    /* Of events, on either side. */
    unsigned n_ended[2];
    /* The driver's own. */
    void *handles[2];
};

struct model {
    uint64_t seed;
    uint64_t random;
    bool is_lost;
    struct model_call calls[MODEL_CALLS_MAX];
    size_t n_calls;
    /* Handed to a side and not taken, over all its calls. */
    size_t untaken_len[2];
    size_t n_messages;
};

/* A claim that does not hold is printed with the seed, and fails the test. */
#define MODEL_CHECK(model, claim) model_check(model, claim, #claim, __FILE__, __LINE__)
void model_check(
    const struct model *model, bool holds, const char *claim, const char *file, int line);

void model_init(struct model *model, uint64_t seed);
/* 0 to n - 1. */
size_t model_random(struct model *model, size_t n);
/* A length from 1 to `max`, often short. */
size_t model_piece(struct model *model, size_t max);

/* Whether `side` sends messages of its own accord in this kind. */
bool model_streams(enum rpc_kind kind, enum model_side side);
/* NULL: enough calls. */
struct model_call *model_open(struct model *model, enum rpc_kind kind);
/* Writes the bytes of a message; those of every message differ. */
void model_write(
    const struct model_call *call, enum model_side sender, size_t n, uint8_t *out, size_t len);
bool model_may_send(const struct model_call *call, enum model_side sender);

/* ---- what was done ---- */

void model_sent(struct model_call *call, enum model_side sender, size_t len);
void model_half_closed(struct model_call *call);
void model_cancelled(struct model_call *call);
void model_finished(struct model_call *call, enum rpc_code code);
/* The oldest message that `receiver` was handed and has not taken: its length, to be told to the
 * other side of the test. False: none. */
bool model_take(struct model_call *call, enum model_side receiver, size_t *out_len);
/* What is not taken of a call that is released counts no more. */
void model_released(struct model_call *call, enum model_side side);
void model_lost(struct model *model);

/* ---- what was seen ---- */

void model_saw_open(struct model_call *call, enum rpc_kind kind);
void model_saw_message(
    struct model_call *call, enum model_side receiver, const uint8_t *bytes, size_t len);
void model_saw_half_close(struct model_call *call);
void model_saw_end(
    struct model_call *call, enum model_side side, enum rpc_code code, bool is_local);
/* After everything has moved: every call ended as it had to. */
void model_check_ended(const struct model *model);

#endif
