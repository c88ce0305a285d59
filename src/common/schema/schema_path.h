/* "services.backend.command[2]": where a reader is, for mistakes and origins. */
#ifndef FLOCKS_SCHEMA_PATH_H
#define FLOCKS_SCHEMA_PATH_H

#include <stddef.h>

enum {
    /* Deeper or longer paths are cut; they only inform. */
    SCHEMA_PATH_MAX = 256
};

/* Plain value; zeroed is the empty path. */
struct schema_path {
    char text[SCHEMA_PATH_MAX];
    size_t len;
};

/* Both answer the length before, for schema_path_pop. */
size_t schema_path_push(struct schema_path *path, const char *name, size_t name_len);
size_t schema_path_push_index(struct schema_path *path, size_t index);
void schema_path_pop(struct schema_path *path, size_t len);

#endif
