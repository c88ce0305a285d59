/* recv, send and poll of the library under test, linked with --wrap: short, failing, or made up. */
#ifndef TESTS_UNIT_NANO_FAULTS_H
#define TESTS_UNIT_NANO_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

enum fault_call { FAULT_RECV, FAULT_SEND, FAULT_POLL, FAULT_CALLS };

struct faults {
    /* The n-th call from now fails with this errno; 0: none does. */
    unsigned fail_at[FAULT_CALLS];
    int error_number;
    /* Calls so far. */
    unsigned n_calls[FAULT_CALLS];
    /* At most so many bytes a call; 0: as asked. */
    size_t longest;
    /* After so many bytes sent, the socket is full, until this many were received; 0: never full.
     */
    size_t full_after;
    size_t full_until_received;
    size_t n_sent;
    size_t n_received;
    /* recv brings frames of unknown type without end. */
    bool is_endless;
};

extern struct faults faults;

#endif
