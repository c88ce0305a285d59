/* Why a service is in its state, for people: the hint of ExplainService. Pure. */
#ifndef FLOCKS_SUPERVISE_EXPLAIN_H
#define FLOCKS_SUPERVISE_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "server/supervise/service_table.h"

enum {
    /* Bytes of a hint with its NUL (the schema's max_bytes). */
    EXPLAIN_HINT_SIZE = 256
};

/* What a hint names besides state and reason; texts may be "" and are never NULL. */
struct explain_facts {
    enum service_state state;
    uint32_t reason; /* flocks.v1.StateReason */
    const char *service;
    /* Of PORT_HELD; pid 0: not visible to us. */
    int32_t holder_pid;
    uint32_t port;
    /* Of the lease that holds it. */
    const char *lease_owner;
    /* The first one that it waits for. */
    const char *waits_for;
};

/* What to do about it, or what will happen by itself; "" only for a service that is HEALTHY. */
void explain_hint(const struct explain_facts *facts, char out[EXPLAIN_HINT_SIZE]);

#endif
