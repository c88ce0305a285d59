/* What both ends of a renewal share. Private to renewal.c and renewal_take.c. */
#ifndef FLOCKS_KEEPER_RENEWAL_RECORD_H
#define FLOCKS_KEEPER_RENEWAL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "flocks/keeper/v1/keeper.nano.h"

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* One record beside its header: a path and some numbers. */
    RENEWAL_RECORD_BYTES = 8 * 1024
};

/* Numbers of the format, as those of the child's states in children.h: never given anew. */
enum renewal_kind {
    RENEWAL_HEAD = 1,
    RENEWAL_OUTPUT = 2,
    RENEWAL_CHILD = 3,
    RENEWAL_SLOT = 4,
    RENEWAL_EXIT = 5,
    /* The last one. */
    RENEWAL_END = 6
};

/* In the order of this machine: it never leaves it. */
struct renewal_header {
    uint32_t kind;
    uint32_t len;
};

_Static_assert(flocks_keeper_v1_RenewalHead_size <= RENEWAL_RECORD_BYTES, "one record");
_Static_assert(flocks_keeper_v1_RenewalOutput_size <= RENEWAL_RECORD_BYTES, "one record");

struct keeper;

/* The records of a state into an unused keeper. */
NODISCARD int renewal_parse(
    struct keeper *keeper, const uint8_t *bytes, size_t len, struct error *error);
/* Whether exec passes on all that is named in the state. 0, or -1 with errno. */
NODISCARD int renewal_let_through(const struct keeper *keeper, bool on);

#endif
