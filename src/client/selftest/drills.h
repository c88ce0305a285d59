/* The promises, each tried on a stage. */
#ifndef FLOCKS_SELFTEST_DRILLS_H
#define FLOCKS_SELFTEST_DRILLS_H

#include <stddef.h>
#include <stdint.h>

#include "client/selftest/stage.h"

enum verdict { VERDICT_HELD, VERDICT_BROKEN, VERDICT_NOT_TRIED };

/* What came of one. */
struct drill_result {
    enum verdict verdict;
    int64_t took_ms; /* of what the promise is about; -1: nothing was timed */
    char message[STAGE_MESSAGE_MAX];
};

struct drill {
    const char *name;
    const char *promise;
    void (*run)(struct stage *stage, struct drill_result *out);
};

/* In this order: each leaves the stage as it found it, as far as the promise held. */
extern const struct drill drills[];
extern const size_t n_drills;

#endif
