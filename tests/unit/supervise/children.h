/* Processes for the observers' tests: each says when it is ready and is gone after children_end. */
#ifndef FLOCKS_TESTS_CHILDREN_H
#define FLOCKS_TESTS_CHILDREN_H

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

#include "server/supervise/process_set.h"

/* This program becomes the subreaper of its strays, as the keeper is. */
void children_begin(void);
/* Kills and reaps every child and adopted stray. */
void children_end(void);

/* Forks; the child does setsid, runs `body(context)` and exits with what it answers. Fatal on
 * failure. */
pid_t children_run(int (*body)(void *context), void *context);
/* A body that waits to be killed. */
int children_wait(void *context);

/* Kills, reaps and forgets one. */
void children_kill(pid_t pid);
/* Exit status of a child that ends by itself; -1 when a signal ended it. */
int children_reap(pid_t pid);

/* Identity of a living child: no invocation, no mark. */
struct process_identity children_identity(pid_t pid);

#endif
