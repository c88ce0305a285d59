/* Leases as messages: for the state memfd, and for run/lease.pb, which outlives it. Nothing is
 * decided here. Private to the room. */
#ifndef FLOCKS_SUPERVISE_LEASE_STATE_H
#define FLOCKS_SUPERVISE_LEASE_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "flocks/state/v1/state.names.h"

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"
#include "server/supervise/leases.h"
#include "server/supervise/upgrades.h"

enum {
    /* Largest run/lease.pb that is read: far beyond what eight leases of all services need. */
    LEASE_RECORD_MAX = 16 * 1024 * 1024
};

/* Borrows from the lease; memory of the arena. NULL: no memory. */
state_lease *lease_save(const struct lease *lease, struct arena *arena);
/* A new lease at the end of `leases`. What is beyond a bound is cut; a phase that this version does
 * not know is DATA_LOSS. */
NODISCARD int lease_load(struct leases *leases, const state_lease *message, struct error *error);

/* The whole record as bytes; the caller frees *out. `sealing` (may be NULL) is written as
 * COMMITTED, `opening` (may be NULL) as HELD; other OPENING ones are left out. RESOURCE_EXHAUSTED.
 */
NODISCARD int lease_record_pack(const struct leases *leases, const struct upgrades *upgrades,
    const struct lease *opening, const struct lease *sealing, uint8_t **out, size_t *out_len,
    struct error *error);
/* Adds what the bytes say. DATA_LOSS: torn, foreign, or of a version that this one cannot read;
 * nothing is added then. */
NODISCARD int lease_record_unpack(struct leases *leases, struct upgrades *upgrades,
    const uint8_t *bytes, size_t len, struct error *error);

#endif
