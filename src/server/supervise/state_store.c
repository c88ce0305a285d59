#include "server/supervise/state_store.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "server/keeper/link.h"

enum { SLOTS = 2, MAGIC = 0x464c4b53 };

/* First bytes of a slot. Native byte order: memory of one machine until its restart. */
struct slot_header {
    uint32_t magic;
    uint32_t format;
    uint64_t sequence;
    uint64_t length;
    /* Over sequence, length and contents. */
    uint64_t checksum;
};

struct state_store {
    uint8_t *memory;
    size_t size;
    size_t slot_size;
    /* Of the newest state; 0: none. */
    uint64_t sequence;
    /* Slot of the newest state. */
    size_t newest;
};

static struct slot_header *slot_at(const struct state_store *store, size_t slot)
{
    return (struct slot_header *)(void *)(store->memory + slot * store->slot_size);
}

static uint8_t *slot_contents(const struct state_store *store, size_t slot)
{
    return (uint8_t *)(slot_at(store, slot) + 1);
}

static uint64_t mix(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return sum ^ (sum >> 32);
}

uint64_t state_checksum(const void *bytes, size_t len, uint64_t seed)
{
    uint64_t sum = mix(mix(1, seed), len);
    const uint8_t *at = bytes;
    uint64_t word;

    for (; len >= sizeof word; at += sizeof word, len -= sizeof word) {
        memcpy(&word, at, sizeof word);
        sum = mix(sum, word);
    }
    word = 0;
    memcpy(&word, at, len);
    return mix(sum, word);
}

static int slot_is_whole(const struct state_store *store, size_t slot)
{
    const struct slot_header *header = slot_at(store, slot);

    return header->magic == MAGIC && header->length <= state_store_capacity(store) &&
           header->checksum ==
               state_checksum(slot_contents(store, slot), (size_t)header->length, header->sequence);
}

static void find_newest(struct state_store *store)
{
    for (size_t slot = 0; slot < SLOTS; slot++) {
        const struct slot_header *header = slot_at(store, slot);

        if (slot_is_whole(store, slot) && header->sequence > store->sequence) {
            store->sequence = header->sequence;
            store->newest = slot;
        }
    }
}

static size_t slots_bytes(size_t size)
{
    bool has_events = size >= (size_t)KEEPER_STATE_SLOTS_BYTES + (size_t)KEEPER_STATE_EVENTS_BYTES;

    return has_events ? (size_t)KEEPER_STATE_SLOTS_BYTES : size;
}

int state_store_open(int fd, struct state_store **out, struct error *error)
{
    struct state_store *store;
    struct stat status;

    if (fstat(fd, &status) != 0)
        return error_set_errno(error, errno, "look at the state memory");
    if ((size_t)status.st_size < SLOTS * (sizeof(struct slot_header) + 64))
        return error_set(error, STATUS_FAILED_PRECONDITION, "the state memory is too small");
    store = calloc(1, sizeof *store);
    if (store == NULL)
        return error_set_errno(error, ENOMEM, "open the state memory");
    store->size = (size_t)status.st_size;
    store->slot_size = slots_bytes(store->size) / SLOTS / 64 * 64;
    store->memory = mmap(NULL, store->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (store->memory == MAP_FAILED) {
        free(store);
        return error_set_errno(error, errno, "map the state memory");
    }
    find_newest(store);
    *out = store;
    return 0;
}

void state_store_close(struct state_store *store)
{
    if (store == NULL)
        return;
    (void)munmap(store->memory, store->size);
    free(store);
}

int state_store_read(const struct state_store *store, const uint8_t **out, size_t *out_len)
{
    const struct slot_header *header = slot_at(store, store->newest);

    if (store->sequence == 0)
        return STATE_STORE_EMPTY;
    if (header->format != STATE_STORE_FORMAT)
        return STATE_STORE_FOREIGN;
    *out = slot_contents(store, store->newest);
    *out_len = (size_t)header->length;
    return 0;
}

uint8_t *state_store_events(const struct state_store *store, size_t *out_len)
{
    size_t slots = slots_bytes(store->size);

    *out_len = store->size > slots ? (size_t)KEEPER_STATE_EVENTS_BYTES : 0;
    return *out_len > 0 ? store->memory + slots : NULL;
}

/* ---- pulses ---- */

static _Atomic int64_t *pulse_at(const struct state_store *store, uint32_t slot)
{
    const size_t before = (size_t)KEEPER_STATE_SLOTS_BYTES + (size_t)KEEPER_STATE_EVENTS_BYTES;

    if (store->size < (size_t)KEEPER_STATE_BYTES || slot >= (uint32_t)KEEPER_SLOTS)
        return NULL;
    return (_Atomic int64_t *)(void *)(store->memory + before) + slot;
}

void state_store_set_pulse(struct state_store *store, uint32_t slot, int64_t at_ms)
{
    _Atomic int64_t *pulse = pulse_at(store, slot);

    if (pulse != NULL)
        atomic_store_explicit(pulse, at_ms, memory_order_relaxed);
}

int64_t state_store_pulse(const struct state_store *store, uint32_t slot)
{
    _Atomic int64_t *pulse = pulse_at(store, slot);

    return pulse != NULL ? atomic_load_explicit(pulse, memory_order_relaxed) : 0;
}

/* ---- writing ---- */

size_t state_store_capacity(const struct state_store *store)
{
    return store->slot_size - sizeof(struct slot_header);
}

uint8_t *state_store_begin(struct state_store *store)
{
    size_t slot = store->sequence == 0 ? 0 : 1 - store->newest;

    slot_at(store, slot)->magic = 0;
    /* The compiler may not move contents before the line that makes the slot invalid. */
    atomic_signal_fence(memory_order_seq_cst);
    return slot_contents(store, slot);
}

void state_store_commit(struct state_store *store, size_t len)
{
    size_t slot = store->sequence == 0 ? 0 : 1 - store->newest;
    struct slot_header *header = slot_at(store, slot);

    assert(len <= state_store_capacity(store));
    header->format = STATE_STORE_FORMAT;
    header->sequence = store->sequence + 1;
    header->length = len;
    header->checksum = state_checksum(slot_contents(store, slot), len, header->sequence);
    atomic_signal_fence(memory_order_seq_cst);
    header->magic = MAGIC;
    store->sequence = header->sequence;
    store->newest = slot;
}
