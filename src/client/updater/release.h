/* Releases that a source has, and which file of one is for this machine. Values in an arena; no
 * I/O. */
#ifndef FLOCKS_UPDATER_RELEASE_H
#define FLOCKS_UPDATER_RELEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/updater/asset_name.h"
#include "client/updater/checksums.h"
#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/release/version.h"

enum {
    /* Further releases of a list, and files of a release, are left out. */
    RELEASES_MAX = 1000,
    RELEASE_ASSETS_MAX = 256,
    RELEASE_MIRRORS_MAX = 16,
    /* Longer notes are cut between characters. */
    RELEASE_NOTES_MAX = 16 * 1024,
    RELEASE_REGION_MAX = 15
};

struct release_mirror {
    /* "cn". */
    const char *region;
    const char *url;
};

/* Texts are never NULL unless said. Places are URLs, or absolute paths of a local source. */
struct release_asset {
    /* asset_name_is_good. */
    const char *name;
    const char *place;
    /* 0: not told. */
    uint64_t size;
    /* 64 digits in lower case; NULL: not told. */
    const char *sha256;
    /* Of its .minisig; NULL: there is none. */
    const char *signature;
    /* As an index has it; NULL: the name tells. */
    const char *platform;
    const struct release_mirror *mirrors;
    size_t n_mirrors;
    /* Made by the host from the repository, not by the publisher. */
    bool is_source;
};

struct release {
    struct version version;
    /* Plain UTF-8 that may hold anything a person wrote: escape before showing. */
    const char *notes;
    const char *page;
    bool is_prerelease;
    /* Published, and taken back: never chosen unless named. */
    bool is_withdrawn;
    const struct release_asset *assets;
    size_t n_assets;
};

/* The newest first. */
struct releases {
    struct release *items;
    size_t n;
};

void releases_sort(struct releases *releases);

/* The newest that is not withdrawn, and no pre-release unless `with_prereleases`; NULL: none. */
const struct release *releases_newest(const struct releases *releases, bool with_prereleases);
/* The one with exactly that version (builds are told apart; "v" may be there); NULL: none. */
const struct release *releases_find(const struct releases *releases, const char *version);

/* Which file, and what it can be checked with. */
struct release_choice {
    const struct release_asset *asset;
    /* Where to get it, in that order: mirrors of the region, the asset's own place, other mirrors.
     */
    const char *places[RELEASE_MIRRORS_MAX + 1];
    size_t n_places;
    /* A file of checksums that has it (checksums_find); NULL: none. */
    const char *checksums;
    /* Signature of that file; NULL: none. */
    const char *checksums_signature;
};

/* The archive for `platform`: the one that names most of it, then by asset_name_archive. What the
 * host made from the repository only if the release has no archive of its own. -STATUS_NOT_FOUND:
 * none for this machine; the text names what there is. */
NODISCARD int release_choose(const struct release *release, const struct platform *platform,
    const char *region, struct release_choice *out, struct error *error);

#endif
