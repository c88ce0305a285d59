/* What an archive may call its entries and point its links at. Pure: texts in, texts out. */
#ifndef FLOCKS_UPDATER_ARCHIVE_PATH_H
#define FLOCKS_UPDATER_ARCHIVE_PATH_H

#include <stddef.h>

enum {
    /* Longer paths, and targets of links, are refused: with the directory of the releases before
     * it, every path fits into PATH_MAX. */
    ARCHIVE_PATH_MAX = 1023,
    /* Deeper entries are refused; a walk over what was unpacked holds a descriptor for each level.
     */
    ARCHIVE_PATH_DEPTH_MAX = 64,
    /* A path for a message: longer ones are cut. */
    ARCHIVE_PATH_SHOWN_SIZE = 256
};

/* The path in normal form: components with one slash between them, without "." ("" for the
 * archive's own top). NULL, or why it is refused, in static storage: absolute, "..", too long, too
 * deep, not UTF-8, control characters. */
const char *archive_path_clean(const char *path, char out[ARCHIVE_PATH_MAX + 1]);

/* Whether a symbolic link at `link` (normal form) that says `target` can only lead to places below
 * the same top, whatever other links of that kind there are: relative; ".." only at its beginning,
 * and not further up than the link is deep. (A ".." after a name would be taken from where that
 * name leads.) NULL, or why it is refused. */
const char *archive_path_check_link(const char *link, const char *target);

/* Components of a path in normal form; 0: "". */
size_t archive_path_depth(const char *path);

/* For messages: cut, and every byte that a terminal might obey replaced by '?'. */
void archive_path_show(const char *path, char out[ARCHIVE_PATH_SHOWN_SIZE]);

#endif
