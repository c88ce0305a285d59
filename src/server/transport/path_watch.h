/* Whether paths still lead to what they led to: the control socket, and what else makes an instance
 * one. Its descriptors stay good for ever, but a removed or replaced path lets nobody in. That is
 * told, once, and never repaired here: who made the paths makes them again. */
#ifndef FLOCKS_TRANSPORT_PATH_WATCH_H
#define FLOCKS_TRANSPORT_PATH_WATCH_H

#include <stddef.h>
#include <uv.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

struct path_watch;

/* Watches the directories of `paths` (absolute, copied; at least one). `lost` is called from the
 * loop or from inside this call, at most once, when one of them is missing or leads to another file
 * than at the beginning. */
NODISCARD int path_watch_open(uv_loop_t *loop, const char *const *paths, size_t n_paths,
    void (*lost)(void *data, const char *path), void *data, struct path_watch **out,
    struct error *error);
/* Asynchronous; `lost` is not called any more. NULL is accepted. */
void path_watch_close(struct path_watch *watch);

#endif
