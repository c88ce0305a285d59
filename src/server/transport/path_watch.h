/* Whether the socket's path still leads to our socket. The listener keeps its descriptor for ever,
 * but a removed or replaced path lets nobody in: that is told, once, and never repaired here (the
 * keeper binds; another instance may have a right to the path). */
#ifndef FLOCKS_TRANSPORT_PATH_WATCH_H
#define FLOCKS_TRANSPORT_PATH_WATCH_H

#include <uv.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

struct path_watch;

/* Watches the directory of `path` (absolute, copied). `lost` is called from the loop, at most once,
 * when the path is missing or another file than at the beginning; also when it is so already. */
NODISCARD int path_watch_open(uv_loop_t *loop, const char *path, void (*lost)(void *data),
    void *data, struct path_watch **out, struct error *error);
/* Asynchronous; `lost` is not called any more. NULL is accepted. */
void path_watch_close(struct path_watch *watch);

#endif
