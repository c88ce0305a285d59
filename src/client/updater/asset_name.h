/* What the name of a release's file tells: kind of archive, platform, version. Pure. */
#ifndef FLOCKS_UPDATER_ASSET_NAME_H
#define FLOCKS_UPDATER_ASSET_NAME_H

#include <stdbool.h>

#include "common/release/version.h"

enum { ASSET_NAME_MAX = 255 };

/* "linux", "x86_64": as uname(2) has them, in lower case. */
struct platform {
    char system[65];
    char machine[65];
};

/* This machine's. */
void platform_of_machine(struct platform *out);

/* One component of plain UTF-8 text that can be a file's name anywhere. */
bool asset_name_is_good(const char *name);

/* How much we want that kind: 5 tar.zst, 4 tar.xz, 3 tar.gz, 2 zip, 1 tar; 0: no archive that
 * unpack.h reads. */
int asset_name_archive(const char *name);

/* How well a name ("flocks-1.2.0-linux-amd64.tar.xz"), or a platform ("linux-x86_64", "any"), fits
 * this one: 3 names system and machine, 2 one of them, 1 neither; 0: names another. */
int asset_name_fits(const char *name, const struct platform *platform);

/* The version in "flocks-1.2.0-rc.1-linux-x86_64.tar.gz". False: there is none. */
bool asset_name_version(const char *name, struct version *out);

#endif
