/* Allocations that fail when the test says so. Linked with --wrap: every
 * malloc, calloc and realloc of our own code comes here. */
#ifndef FLOCKS_TESTS_FAILING_MEMORY_H
#define FLOCKS_TESTS_FAILING_MEMORY_H

#include <stdbool.h>

/* From now on allocations count; the one after `n` others fails, once. */
void failing_memory_arm(int n);
/* Allocations do not count, and none fails. */
void failing_memory_pause(void);
void failing_memory_resume(void);
/* Whether one has failed since armed. */
bool failing_memory_has_failed(void);

#endif
