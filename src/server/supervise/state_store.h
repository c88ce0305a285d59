/* Two slots in the keeper's memfd, written in turn, so that a death at any instant leaves the last
 * whole state; behind them the memory of the events (events.h), and the pulses. It knows nothing of
 * what it stores. */
#ifndef FLOCKS_SUPERVISE_STATE_STORE_H
#define FLOCKS_SUPERVISE_STATE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* Grows when a flocksd of the version before could misread the contents. */
    STATE_STORE_FORMAT = 1
};

struct state_store;

/* Against torn writes, not against an enemy: a multiply per word, some GB/s. `seed` begins it, so
 * that one sum can go on where another ended. */
uint64_t state_checksum(const void *bytes, size_t len, uint64_t seed);

/* Maps the whole of `fd`, which must be a regular file or memfd of fixed size; the descriptor is
 * not kept. FAILED_PRECONDITION: too small for two slots. */
NODISCARD int state_store_open(int fd, struct state_store **out, struct error *error);
void state_store_close(struct state_store *store);

/* state_store_read's conditions. */
enum state_store_condition {
    /* Nothing was ever written, or nothing whole is left. */
    STATE_STORE_EMPTY = 1,
    /* What is there was written by another format. */
    STATE_STORE_FOREIGN = 2
};

/* The newest whole state; the bytes lie in the mapping and are good until the second commit from
 * now. */
NODISCARD int state_store_read(
    const struct state_store *store, const uint8_t **out, size_t *out_len);

/* The memory behind the slots; NULL where there is none: the keeper's is smaller than
 * KEEPER_STATE_SLOTS_BYTES and KEEPER_STATE_EVENTS_BYTES together. */
uint8_t *state_store_events(const struct state_store *store, size_t *out_len);

/* One time for each of the keeper's slots, written in place: of what happens too often for a whole
 * state each time, and may not be lost all the same. 0: none, as always where the keeper's memory
 * is smaller than KEEPER_STATE_BYTES. */
void state_store_set_pulse(struct state_store *store, uint32_t slot, int64_t at_ms);
int64_t state_store_pulse(const struct state_store *store, uint32_t slot);

/* Bytes that one state may have. */
size_t state_store_capacity(const struct state_store *store);
/* Where the next state is to be written, state_store_capacity() bytes. The newest stays readable.
 */
uint8_t *state_store_begin(struct state_store *store);
/* The `len` bytes written there are the newest state now. */
void state_store_commit(struct state_store *store, size_t len);

#endif
