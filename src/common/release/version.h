/* Versions of releases: Semantic Versioning 2.0.0 (https://semver.org), and what people make of it.
 * Pure. */
#ifndef FLOCKS_RELEASE_VERSION_H
#define FLOCKS_RELEASE_VERSION_H

#include <stdbool.h>
#include <stdint.h>

enum {
    /* As in upgrade.proto. */
    VERSION_TEXT_MAX = 63,
    VERSION_NUMBERS_MAX = 4
};

/* A plain value. */
struct version {
    uint32_t numbers[VERSION_NUMBERS_MAX];
    /* "1.2.0-rc.1+build": letters, digits, '.', '-', '+', beginning with a digit, so that it is a
     * good name for a directory. As it was written, without "refs/tags/" and "v". */
    char text[VERSION_TEXT_MAX + 1];
    /* "rc.1", "". */
    char prerelease[VERSION_TEXT_MAX + 1];
};

/* One to four numbers (missing ones are 0), then "-prerelease" and "+build". False: no version. */
bool version_parse(const char *text, struct version *out);

/* Less than 0, 0, more than 0; by precedence, so that builds of one version are equal. */
int version_compare(const struct version *a, const struct version *b);

bool version_is_prerelease(const struct version *version);

#endif
