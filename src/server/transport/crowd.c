#include "server/transport/crowd.h"

#include "crpc/limits.h"
#include "server/transport/limits.h"

/* How many of this process or crowd there may be. With few connections in all (a low descriptor
 * limit) those over TCP get a part of them. */
static size_t bound_of(int32_t pid, size_t most)
{
    size_t bound = TRANSPORT_CONNECTIONS_PER_PID;

    if (pid == CROWD_TCP)
        bound = TRANSPORT_TCP_CONNECTIONS_MAX;
    else if (pid == CROWD_STRANGERS)
        bound = TRANSPORT_STRANGERS_MAX;
    else
        return bound;
    most /= TRANSPORT_TCP_SHARE;
    if (most == 0)
        most = 1;
    return bound < most ? bound : most;
}

static bool is_over_tcp(int32_t pid)
{
    return pid == CROWD_TCP || pid == CROWD_STRANGERS;
}

bool crowd_admits(const struct population *population, int32_t pid, size_t most,
    struct population_member **out_victim)
{
    bool is_crowded = population_count_of(population, pid) >= bound_of(pid, most);

    *out_victim = NULL;
    if (!is_crowded && population_count(population) < most)
        return true;
    *out_victim = is_crowded || is_over_tcp(pid) ? population_victim_of(population, pid)
                                                 : population_victim(population, pid);
    return *out_victim != NULL;
}

struct population_member *crowd_too_heavy(const struct population *population)
{
    size_t of_tcp = population_held_of(population, CROWD_TCP);
    size_t of_strangers = population_held_of(population, CROWD_STRANGERS);

    if (of_strangers > TRANSPORT_STRANGERS_HELD_MAX)
        return population_heaviest_of(population, CROWD_STRANGERS);
    if (of_tcp > TRANSPORT_TCP_HELD_MAX)
        return population_heaviest_of(population, CROWD_TCP);
    if (population_held(population) > RPC_HELD_BYTES_MAX)
        return population_heaviest(population);
    return NULL;
}
