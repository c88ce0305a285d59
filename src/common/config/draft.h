/* A configuration under way: what the steps of config_load share. Internal to this room.
 *
 * Order of the steps: text (yaml_read) -> settings_apply -> expand_texts -> resolve_paths ->
 * check_*. Each adds its mistakes and goes on, so that a person sees all of them at once. */
#ifndef FLOCKS_CONFIG_DRAFT_H
#define FLOCKS_CONFIG_DRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flocks/v1/config.names.h"

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/config/config.h"
#include "common/schema/message.h"
#include "common/schema/mistake.h"
#include "common/schema/schema_path.h"
#include "common/schema/yaml_read.h"

/* Where one value, or the key of a group of values, came from. */
struct draft_origin {
    const char *path;
    enum flocks_config_layer layer;
    const char *source; /* file, variable or option */
    uint32_t line;      /* 0: the source has no lines */
    uint32_t column;
    bool is_place; /* as in struct yaml_origin */
};

struct draft {
    const struct config_request *request;
    const char *const *environment;
    struct arena *arena;
    struct mistakes *mistakes;
    flocks_config *message;
    /* Name shown for mistakes that have no better place. */
    const char *file;
    bool is_builtin;
    /* Relative directories of the configuration begin here. */
    const char *directory;
    /* Sorted by path. */
    struct draft_origin *origins;
    size_t n_origins;
    size_t origins_capacity;
    /* The arena is exhausted: nothing after this means anything. */
    bool is_out_of_memory;
};

/* Takes the reader's origins (FILE), sorted. */
void draft_take_origins(struct draft *draft, const struct yaml_origins *origins);
/* Replaces or adds the origin of one value; `source` and `path` are kept. */
void draft_set_origin(
    struct draft *draft, const char *path, enum flocks_config_layer layer, const char *source);

/* Place of the value, or of what it stands in; `path` stays borrowed. */
struct mistake_place draft_place(const struct draft *draft, const char *path);
/* A mistake about the value at `path`; the result is for mistake_set_hint. */
struct mistake *draft_refuse(struct draft *draft, const char *path, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Whether a mistake about this path, or anything below it, is known already. */
bool draft_is_mistaken(const struct draft *draft, const char *path);
/* "services.<name>.<rest>" in the arena; never NULL ("" when it is exhausted). */
const char *draft_service_path(struct draft *draft, const char *service, const char *rest);

/* ---- the steps ---- */

void settings_apply(struct draft *draft);
void expand_texts(struct draft *draft);
/* Directories and environment files become absolute. */
void resolve_paths(struct draft *draft);
/* Names, texts and combinations of one service. */
void check_services(struct draft *draft);
void check_ports(struct draft *draft);
void check_order(struct draft *draft);
/* Looks at the disk. */
void check_host(struct draft *draft);

#endif
