/* Lives through random lives of the pure core and stops at the first that breaks a rule:
 *
 *     simulate [--lives N] [--seed S] [--trace]
 *
 * Exit status 0: none did. 1: one did, and the line that shows it again is printed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "simulator/world.h"

struct options {
    uint64_t lives;
    uint64_t seed;
    bool trace;
};

static bool read_number(const char *text, uint64_t *out)
{
    char *end = NULL;

    errno = 0;
    *out = text != NULL ? strtoull(text, &end, 10) : 0;
    return text != NULL && errno == 0 && end != text && *end == '\0';
}

static bool read_options(int argc, char **argv, struct options *out)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        uint64_t *number = strcmp(name, "--lives") == 0  ? &out->lives
                           : strcmp(name, "--seed") == 0 ? &out->seed
                                                         : NULL;

        if (strcmp(name, "--trace") == 0)
            out->trace = true;
        else if (number == NULL || !read_number(argv[++i], number))
            return false;
    }
    return true;
}

static double seconds_now(void)
{
    struct timespec now = {.tv_sec = 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void report(const struct options *options, const struct world_result *sum, double seconds)
{
    printf("simulate: %llu lives, %llu events, %llu starts, %llu deaths of flocksd, "
           "%.1f years lived in %.1f s (%.1f million lives a minute); no rule was broken\n",
        (unsigned long long)options->lives, (unsigned long long)sum->events,
        (unsigned long long)sum->starts, (unsigned long long)sum->deaths,
        (double)sum->lived_ms / 1000 / 86400 / 365, seconds,
        (double)options->lives / seconds * 60 / 1e6);
}

int main(int argc, char **argv)
{
    struct options options = {.lives = 20000};
    struct world_result sum = {.events = 0};
    struct world_result life;
    double began_at = seconds_now();

    if (getrandom(&options.seed, sizeof options.seed, 0) != sizeof options.seed)
        options.seed = 1;
    if (!read_options(argc, argv, &options)) {
        (void)fprintf(stderr, "usage: simulate [--lives N] [--seed S] [--trace]\n");
        return 2;
    }
    for (uint64_t i = 0; i < options.lives; i++) {
        if (!world_live(options.seed + i, options.trace ? stdout : NULL, &life)) {
            printf("simulate: %s\nsimulate --lives 1 --seed %llu --trace\n", life.complaint,
                (unsigned long long)options.seed + i);
            return 1;
        }
        sum.events += life.events;
        sum.starts += life.starts;
        sum.deaths += life.deaths;
        sum.lived_ms += life.lived_ms;
    }
    report(&options, &sum, seconds_now() - began_at);
    return 0;
}
