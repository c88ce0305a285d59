/* What the machine itself costs: starts services and forks and execs again when SIGCHLD comes. Does
 * nothing that a supervisor has to do besides.
 *
 *   bench-floor SERVICE SLOTS SERVICES */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slots.h"

struct floor {
    char *service;
    char *slots;
    unsigned long count;
    pid_t pids[SLOTS_MAX];
};

static int start(struct floor *floor, unsigned long index, const sigset_t *old_mask)
{
    char number[24];
    (void)snprintf(number, sizeof number, "%lu", index);
    pid_t pid = fork();
    if (pid == 0) {
        char *arguments[] = {floor->service, floor->slots, number, NULL};
        (void)pthread_sigmask(SIG_SETMASK, old_mask, NULL);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)execv(floor->service, arguments);
        _exit(127);
    }
    floor->pids[index] = pid;
    return pid < 0;
}

static void replace(struct floor *floor, pid_t dead, const sigset_t *old_mask)
{
    for (unsigned long i = 0; i < floor->count; i++) {
        if (floor->pids[i] == dead)
            (void)start(floor, i, old_mask);
    }
}

int main(int argument_count, char **arguments)
{
    static struct floor floor;
    if (argument_count != 4)
        return 2;
    floor.service = arguments[1];
    floor.slots = arguments[2];
    floor.count = strtoul(arguments[3], NULL, 10);
    if (floor.count == 0 || floor.count > SLOTS_MAX)
        return 2;
    sigset_t mask;
    sigset_t old_mask;
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGCHLD);
    (void)pthread_sigmask(SIG_BLOCK, &mask, &old_mask);
    for (unsigned long i = 0; i < floor.count; i++) {
        if (start(&floor, i, &old_mask) != 0)
            return 1;
    }
    for (;;) {
        (void)sigwaitinfo(&mask, NULL);
        for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;)
            replace(&floor, pid, &old_mask);
    }
}
