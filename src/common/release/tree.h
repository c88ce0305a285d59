/* Directory trees by descriptors: nothing here follows a symbolic link, or leaves the directory
 * that it was given. */
#ifndef FLOCKS_RELEASE_TREE_H
#define FLOCKS_RELEASE_TREE_H

#include <stdint.h>
#include <sys/types.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* Deeper directories are not removed: each level costs a descriptor. Install steps may go
       deeper than an archive. */
    TREE_DEPTH_MAX = 512
};

/* Opens the directory `name` of `parent_fd` (one component), not through a link. -1 and errno. */
NODISCARD int tree_open_directory(int parent_fd, const char *name);

/* Opens directory `path` (normal form, "" is `root_fd` itself again) below `root_fd`, making what
 * is missing of it with `mode`; *made is raised by what was made, and more than `made_max` in all
 * are not. The caller closes the result. -1 and errno; EDQUOT: made_max. */
NODISCARD int tree_make_directory(
    int root_fd, const char *path, mode_t mode, uint32_t made_max, uint32_t *made);

/* Moves everything in directory `name` of `root_fd` up into `root_fd`, and removes it. It must be
 * the only thing in there. -1 and errno. */
NODISCARD int tree_hoist(int root_fd, const char *name);

/* Removes `name` of `parent_fd`, with all that is below it. 0 also when there is none. -1 and errno
 * (ELOOP: deeper than TREE_DEPTH_MAX); what is left then can be removed by another attempt. */
NODISCARD int tree_remove(int parent_fd, const char *name);

/* tree_remove_some: the tree is not gone yet. */
#define TREE_MORE 1

/* tree_remove in pieces: at most *budget names are looked at or removed, and *budget falls by those
 * that were. What is left of it at the end is for the next tree. A call costs the walk down to
 * where the last one ended as well: TREE_DEPTH_MAX directories at most. 0: it is gone; TREE_MORE:
 * call again; -1 and errno. */
NODISCARD int tree_remove_some(int parent_fd, const char *name, uint32_t *budget);

/* tree_remove of a path. */
NODISCARD int tree_remove_path(const char *path, struct error *error);

#endif
