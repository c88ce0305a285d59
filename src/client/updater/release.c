#include "client/updater/release.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- lists ---- */

static int newer_first(const void *a, const void *b)
{
    const struct release *one = a;
    const struct release *other = b;
    int order = version_compare(&other->version, &one->version);
    /* qsort is not stable. */
    return order != 0 ? order : strcmp(other->version.text, one->version.text);
}

void releases_sort(struct releases *releases)
{
    if (releases->n > 1)
        qsort(releases->items, releases->n, sizeof *releases->items, newer_first);
}

const struct release *releases_newest(const struct releases *releases, bool with_prereleases)
{
    for (size_t i = 0; i < releases->n; i++) {
        const struct release *release = &releases->items[i];
        bool is_pre = release->is_prerelease || version_is_prerelease(&release->version);
        if (!release->is_withdrawn && (with_prereleases || !is_pre))
            return release;
    }
    return NULL;
}

const struct release *releases_find(const struct releases *releases, const char *version)
{
    struct version wanted;
    if (!version_parse(version, &wanted))
        return NULL;
    for (size_t i = 0; i < releases->n; i++) {
        if (strcmp(releases->items[i].version.text, wanted.text) == 0)
            return &releases->items[i];
    }
    return NULL;
}

/* ---- choosing ---- */

/* Larger is better; 0: not for this machine. */
static int rank(const struct release_asset *asset, const struct platform *platform)
{
    int archive = asset_name_archive(asset->name);
    const char *about = asset->platform == NULL ? asset->name : asset->platform;
    int fit = asset_name_fits(about, platform);
    return archive == 0 || fit == 0 ? 0 : fit * 8 + archive;
}

static const struct release_asset *find_best(
    const struct release *release, const struct platform *platform, bool of_source)
{
    const struct release_asset *best = NULL;
    int best_rank = 0;
    for (size_t i = 0; i < release->n_assets; i++) {
        const struct release_asset *asset = &release->assets[i];
        int this_rank = asset->is_source == of_source ? rank(asset, platform) : 0;
        if (this_rank > best_rank) {
            best = asset;
            best_rank = this_rank;
        }
    }
    return best;
}

static bool has_archive(const struct release *release)
{
    for (size_t i = 0; i < release->n_assets; i++) {
        if (!release->assets[i].is_source && asset_name_archive(release->assets[i].name) > 0)
            return true;
    }
    return false;
}

static const struct release_asset *find_named(const struct release *release, const char *name)
{
    for (size_t i = 0; i < release->n_assets; i++) {
        if (!release->assets[i].is_source && strcasecmp(release->assets[i].name, name) == 0)
            return &release->assets[i];
    }
    return NULL;
}

/* "NAME.sha256" before one for all files. */
static const struct release_asset *find_checksums(
    const struct release *release, const struct release_asset *asset)
{
    static const char *const names[] = {
        "SHA256SUMS", "SHA256SUMS.txt", "sha256sum.txt", "checksums.txt", "checksums-sha256.txt"};
    char own[ASSET_NAME_MAX + 16];
    (void)snprintf(own, sizeof own, "%s.sha256", asset->name);
    const struct release_asset *found = find_named(release, own);
    for (size_t i = 0; found == NULL && i < ARRAY_LENGTH(names); i++)
        found = find_named(release, names[i]);
    return found;
}

static void take_places(
    const struct release_asset *asset, const char *region, struct release_choice *out)
{
    for (size_t i = 0; i < asset->n_mirrors; i++) {
        if (strcmp(asset->mirrors[i].region, region) == 0)
            out->places[out->n_places++] = asset->mirrors[i].url;
    }
    out->places[out->n_places++] = asset->place;
    for (size_t i = 0; i < asset->n_mirrors; i++) {
        if (strcmp(asset->mirrors[i].region, region) != 0)
            out->places[out->n_places++] = asset->mirrors[i].url;
    }
}

static int say_none(
    const struct release *release, const struct platform *platform, struct error *error)
{
    char names[256] = "";
    size_t n = 0;
    for (size_t i = 0; i < release->n_assets && n < sizeof names; i++) {
        int more = snprintf(
            names + n, sizeof names - n, "%s%s", n == 0 ? "" : ", ", release->assets[i].name);
        n += more < 0 ? 0 : (size_t)more;
    }
    int result = error_set(error, STATUS_NOT_FOUND,
        "release %s has no archive for %s-%s; it has %s", release->version.text, platform->system,
        platform->machine, names[0] == '\0' ? "no file" : names);
    error_set_hint(error, "choose another version with --to, or another source");
    return result;
}

int release_choose(const struct release *release, const struct platform *platform,
    const char *region, struct release_choice *out, struct error *error)
{
    const struct release_asset *asset = find_best(release, platform, false);
    if (asset == NULL && !has_archive(release))
        asset = find_best(release, platform, true);
    if (asset == NULL)
        return say_none(release, platform, error);
    *out = (struct release_choice){.asset = asset};
    take_places(asset, region, out);
    const struct release_asset *checksums =
        asset->is_source ? NULL : find_checksums(release, asset);
    if (checksums != NULL) {
        out->checksums = checksums->place;
        out->checksums_signature = checksums->signature;
    }
    return 0;
}
