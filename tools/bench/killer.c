/* Kills services one after the other and waits for their replacements: prints one time a line, in
 * nanoseconds from just before the kill to the first instruction of the replacement's main, or
 * "lost" after the limit.
 *
 *   bench-killer SLOTS SERVICES KILLS LIMIT_MS
 * KILLS in all, round robin. With KILLS 0 it only waits until all services run. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "slots.h"

enum {
    NS_PER_MS = 1000 * 1000,
    /* Between kills: a supervisor that has not finished its bookkeeping is not to be measured. */
    PAUSE_NS = 5 * NS_PER_MS
};

struct plan {
    struct slot *slots;
    unsigned long services;
    unsigned long kills;
    int64_t limit_ns;
};

static int wait_for_all(const struct plan *plan)
{
    int64_t until_ns = slots_now_ns() + plan->limit_ns;
    for (unsigned long i = 0; i < plan->services; i++) {
        if (!slot_wait(&plan->slots[i], 0, until_ns)) {
            (void)fprintf(stderr, "service %lu did not start\n", i);
            return 1;
        }
    }
    return 0;
}

static void kill_one(const struct plan *plan, const struct slot *slot)
{
    uint32_t starts = slot->starts;
    int64_t killed_ns = slots_now_ns();
    (void)kill(slot->pid, SIGKILL);
    if (slot_wait(slot, starts, killed_ns + plan->limit_ns))
        (void)printf("%lld\n", (long long)(slot->started_ns - killed_ns));
    else
        (void)printf("lost\n");
}

static void run(const struct plan *plan)
{
    for (unsigned long i = 0; i < plan->kills; i++) {
        const struct timespec pause = {.tv_nsec = PAUSE_NS};
        kill_one(plan, &plan->slots[i % plan->services]);
        (void)nanosleep(&pause, NULL);
    }
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 5) {
        (void)fprintf(stderr, "usage: %s SLOTS SERVICES KILLS LIMIT_MS\n", arguments[0]);
        return 2;
    }
    struct plan plan = {
        .slots = slots_open(arguments[1]),
        .services = strtoul(arguments[2], NULL, 10),
        .kills = strtoul(arguments[3], NULL, 10),
        .limit_ns = strtoll(arguments[4], NULL, 10) * NS_PER_MS,
    };
    if (plan.slots == NULL || plan.services == 0 || plan.services > SLOTS_MAX)
        return 2;
    if (wait_for_all(&plan) != 0)
        return 1;
    run(&plan);
    return 0;
}
