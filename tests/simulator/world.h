/* A supervisor's whole surroundings as numbers: services of random character, the processes behind
 * them, the keeper, people who ask for things, and flocksd dying in between. Drives the pure core
 * (service_machine.h) exactly as service.c does and watches what must never happen.
 *
 * One world is one random life, given by its seed alone; nothing of the system is touched. */
#ifndef FLOCKS_SIMULATOR_WORLD_H
#define FLOCKS_SIMULATOR_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { WORLD_SERVICES_MAX = 4, WORLD_COMPLAINT_SIZE = 200 };

/* What one life came to. */
struct world_result {
    uint64_t events; /* given to the machines */
    uint64_t starts; /* processes that ran */
    uint64_t deaths; /* of flocksd */
    int64_t lived_ms;
    /* "" unless something happened that must never happen. */
    char complaint[WORLD_COMPLAINT_SIZE];
};

/* Lives one life to its end, which is a stop of everything. False: *out has a complaint. `trace`
 * gets a line per event; NULL: none. */
bool world_live(uint64_t seed, FILE *trace, struct world_result *out);

#endif
