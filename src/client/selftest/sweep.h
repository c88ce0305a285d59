/* Leaves nothing behind: processes that belong to a private root, and its files. */
#ifndef FLOCKS_SELFTEST_SWEEP_H
#define FLOCKS_SELFTEST_SWEEP_H

#include <stddef.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

/* Kills every process of ours whose environment says FLOCKS_ROOT=`root`, through pidfds, until none
 * is left. Answers how many there were at first. */
size_t sweep_processes(const char *root);
/* Removes the directory with everything in it; follows no link. */
NODISCARD int sweep_files(const char *root, struct error *error);

#endif
