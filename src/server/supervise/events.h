/* The last events, numbered, in memory that outlives flocksd. It knows nothing of what they say.
 *
 * An event counts when the state that it belongs to has been written: the state holds the number of
 * the last one (`kept`), and whatever lies behind that when the next flocksd opens the ring was
 * never told and is written again with the change that led to it. So no change is told twice or
 * not at all, at whatever instant flocksd is killed.
 *
 * Numbers mean nothing without their epoch: where the ring cannot go on exactly, it begins a new
 * one. All I/O is the caller's: bytes of memory in, bytes out. */
#ifndef FLOCKS_SUPERVISE_EVENTS_H
#define FLOCKS_SUPERVISE_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* Events remembered; the oldest is forgotten first, or as many as a new one needs bytes of. Who
     * has not read it by then is told how many were lost. */
    EVENTS_MAX = 4096,
    /* Longest event; of a longer one only that it is missing is remembered. Protects the rest of
     * the ring from one operation on a thousand services. */
    EVENTS_RECORD_BYTES_MAX = 128 * 1024,
    /* Memory that a ring needs at least. */
    EVENTS_MEMORY_MIN = 4096,
    /* Bytes of a token with its NUL (the schema's max_bytes). */
    EVENTS_TOKEN_SIZE = 48
};

/* Nothing is known of earlier events. */
#define EVENTS_KEPT_NONE UINT64_MAX

/* What an event is to a reader. */
enum event_kind {
    EVENT_TOLD = 1,
    /* It was too long: the reader has missed something. */
    EVENT_MISSING = 2,
    /* What there is to tell of is another set than before: the reader begins anew. */
    EVENT_BEGIN_ANEW = 3
};

struct event {
    enum event_kind kind;
    /* Whom it concerns: a bit for each name (event_name_bit); 0: everybody. */
    uint64_t names;
    const uint8_t *bytes;
    size_t len;
};

struct events;

/* The ring in `memory` (8-byte aligned, at least EVENTS_MEMORY_MIN, borrowed until events_close),
 * or in some of its own if that is NULL. It goes on behind the event `kept`; it begins a new epoch,
 * `fresh_epoch`, when there is none, when what is there is damaged, or when more was told than is
 * kept. INVALID_ARGUMENT: too little memory. RESOURCE_EXHAUSTED. */
NODISCARD int events_open(uint8_t *memory, size_t len, uint64_t kept, uint64_t fresh_epoch,
    struct events **out, struct error *error);
void events_close(struct events *events);

/* Remembers one more. No reader gets it before events_tell. */
void events_append(struct events *events, const struct event *event);
/* The state with events_last() in it has been written: readers may have everything. */
void events_tell(struct events *events);

/* Number of the oldest event that is remembered, or the next one's if none is. From 1. */
uint64_t events_first(const struct events *events);
/* Of the newest one; 0: none yet in this epoch. */
uint64_t events_last(const struct events *events);
/* Of the newest one that readers may have. */
uint64_t events_told(const struct events *events);
/* False: gone, or not told yet. The bytes are good until the next events_append. */
bool events_read(const struct events *events, uint64_t number, struct event *out);

uint64_t event_name_bit(const char *name);

/* ---- tokens ---- */

/* "<epoch>-<number>": sixteen hexadecimal digits, and decimal ones. */
void events_token(const struct events *events, uint64_t number, char out[EVENTS_TOKEN_SIZE]);

/* Where a reader goes on that has seen the event of its token. */
struct events_place {
    uint64_t next;
    /* Something before `next` is missing for it: what it needs is a snapshot. */
    bool has_gap;
    /* How many; 0: nobody knows. */
    uint64_t lost;
};
/* -STATUS_INVALID_ARGUMENT: not a token. A token that could be one, of another epoch or of an event
 * that was never told, is a gap. */
NODISCARD int events_find(const struct events *events, const char *token, struct events_place *out);

#endif
