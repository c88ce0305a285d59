/* Releases that were published, and an installation that could take them. Failures end the test
 * program. */
#ifndef FLOCKS_TESTS_UPGRADE_SITE_H
#define FLOCKS_TESTS_UPGRADE_SITE_H

#include <stdbool.h>

#include "client/upgrade/settings.h"
#include "place.h"

/* What publish.py prints. */
struct site_keys {
    char good[128];
    char other[128];
};

/* For group fixtures of cmocka: place_open, and publish.py. */
int site_open(void **state);
const struct site_keys *site_keys(void);

/* A new, empty root with a flocks.yaml whose `update` is `update` (YAML of one line, in braces),
 * and a service `backend` in `directory`. Its name in the place. Static storage. */
const char *site_make_root(const char *update, const char *directory);
/* Its settings; site_unload is due. */
void site_load(const char *root, struct update_settings *out);
void site_unload(struct update_settings *settings);

/* An empty release, whole; with `is_current` it is that. */
void site_add_release(const char *root, const char *version, bool is_current);
/* Names in directory `name` of the place, sorted, with a space behind each; "" also when there is
 * none. Static storage. */
const char *site_names(const char *name);

#endif
