/* What differs between two effective configurations, value by value, and whether a running service
 * must be started anew for it. Pure: looks at messages only. */
#ifndef FLOCKS_CONFIG_DIFF_H
#define FLOCKS_CONFIG_DIFF_H

#include <stdbool.h>
#include <stddef.h>

#include "flocks/v1/config.names.h"

#include "common/base/arena.h"
#include "common/base/attributes.h"

enum {
    /* Differences written out, and bytes of their texts; what is beyond is counted only, so that an
     * answer fits a frame. */
    CONFIG_DIFF_MAX = 16384,
    CONFIG_DIFF_BYTES = 2 * 1024 * 1024,
    /* Longer values are cut and end in "...". */
    CONFIG_DIFF_VALUE_MAX = 1023
};

enum config_effect {
    /* It takes effect on what runs. */
    CONFIG_EFFECT_NONE,
    /* What runs was started with the old value. */
    CONFIG_EFFECT_RESTART
};

/* The effect of a change anywhere below `services.<name>.<key>`. False: no such key; then the
 * effect is RESTART. */
bool config_effect_of_key(const char *key, enum config_effect *out);

struct config_difference {
    const char *path; /* "services.backend.port" */
    /* As in flocks.yaml, "***" for secrets; "": absent. */
    const char *old_value;
    const char *new_value;
    const char *service; /* "": it belongs to none */
    enum config_effect effect;
};

enum config_presence { CONFIG_SAME, CONFIG_CHANGED, CONFIG_ADDED, CONFIG_REMOVED };

struct config_service_diff {
    const char *name;
    enum config_presence presence;
    enum config_effect effect; /* of CHANGED: the strongest of its differences */
    /* Its differences; fewer when some were dropped. A service added or removed has one, of its
     * whole. */
    const struct config_difference *items;
    size_t n;
};

/* Plain value; everything lies in the arena or in the messages. */
struct config_diff {
    struct config_difference *items; /* in the order of the schema, services by name */
    size_t n;
    size_t n_dropped;
    struct config_service_diff *services; /* of both, by name */
    size_t n_services;
};

/* -STATUS_RESOURCE_EXHAUSTED: the arena. Maps need not be sorted. */
NODISCARD int config_diff_make(const flocks_config *old_config, const flocks_config *new_config,
    struct arena *arena, struct config_diff *out);

/* Of one service: presence is SAME or CHANGED. */
NODISCARD int config_diff_service(const char *name, const flocks_service_config *old_config,
    const flocks_service_config *new_config, struct arena *arena, struct config_service_diff *out);

#endif
