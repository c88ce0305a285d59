/* What a new configuration would do to the services there are: one impact each, and the hash that
 * tells a later caller whether it would still do the same. Pure. */
#ifndef FLOCKS_SUPERVISE_CONFIG_PLAN_H
#define FLOCKS_SUPERVISE_CONFIG_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "flocks/v1/supervisor.names.h"

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/config/config.h"
#include "common/config/diff.h"

enum {
    /* Paths that explain one impact; the first ones (the schema's max_items). */
    CONFIG_PLAN_BECAUSE_MAX = 256
};

/* A service as it is now; borrowed. */
struct config_plan_service {
    const char *name;
    /* Somebody wants it, and nobody has asked for its end. */
    bool is_wanted;
    /* Nothing of it runs, and nothing is to. */
    bool is_stopped;
    /* What it runs with, where the present configuration says something else; else NULL. */
    const flocks_service_config *outdated;
};

struct config_plan_impact {
    const char *name;
    enum flocks_config_impact impact;
    /* Paths. */
    const char **because;
    size_t n_because;
    /* CONFIG_EFFECT_RESTART: what runs of it, if anything, was started with other values. */
    enum config_effect effect;
    bool is_there;                          /* now */
    bool is_planned;                        /* the new configuration has it */
    const struct config_service_diff *diff; /* NULL: in neither configuration */
};

struct config_plan {
    struct config_plan_impact *impacts; /* by name: services of now and of the new configuration */
    size_t n;
    /* SHA-256 over both digests and the impacts, hexadecimal. */
    char hash[CONFIG_DIGEST_SIZE];
};

/* Everything that decides the outcome; all borrowed. */
struct config_plan_request {
    const struct config_diff *diff; /* from the present configuration to the new one */
    const flocks_config *new_config;
    const char *old_digest;
    const char *new_digest;
    const struct config_plan_service *services; /* by name */
    size_t n_services;
};

/* All memory is the arena's, or the request's. -STATUS_RESOURCE_EXHAUSTED. */
NODISCARD int config_plan_make(
    const struct config_plan_request *request, struct arena *arena, struct config_plan *out);

#endif
