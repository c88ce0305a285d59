#include "client/updater/source_path.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/updater/release_json.h"
#include "client/updater/source.h"
#include "common/base/fd.h"

static const char SIGNATURE_SUFFIX[] = ".minisig";

static int no_memory(struct error *error)
{
    return error_set_errno(error, ENOMEM, "listing releases");
}

static int refuse_name(struct error *error, const char *name)
{
    int result =
        error_set(error, STATUS_INVALID_ARGUMENT, "the name of %s does not tell a version", name);
    error_set_hint(error, "call it NAME-1.2.3.tar.xz, or give the directory of an index.json");
    return result;
}

/* ---- one archive ---- */

static const char *last_component(const char *place)
{
    const char *slash = strrchr(place, '/');
    return slash == NULL ? place : slash + 1;
}

/* A release that has `n_assets` files. */
static int make_one(const char *name, const struct release_asset *assets, size_t n_assets,
    struct arena *arena, struct releases *out, struct error *error)
{
    struct version version;
    if (!asset_name_version(name, &version))
        return refuse_name(error, name);
    out->items = arena_calloc(arena, 1, sizeof *out->items);
    if (out->items == NULL)
        return no_memory(error);
    out->n = 1;
    out->items[0] = (struct release){
        .version = version, .notes = "", .page = "", .assets = assets, .n_assets = n_assets};
    return 0;
}

int source_archive_list(
    const char *url, struct arena *arena, struct releases *out, struct error *error)
{
    struct url parsed;
    int result = url_parse(url, true, &parsed, error);
    if (result < 0)
        return result;
    const char *name = last_component(parsed.shown);
    size_t path_len = strcspn(url, "?#");
    struct release_asset *asset = arena_calloc(arena, 1, sizeof *asset);
    if (!asset_name_is_good(name))
        return refuse_name(error, name);
    if (asset == NULL)
        return no_memory(error);
    asset->name = arena_strdup(arena, name);
    asset->place = arena_strdup(arena, url);
    asset->signature =
        arena_printf(arena, "%.*s%s%s", (int)path_len, url, SIGNATURE_SUFFIX, url + path_len);
    /* What was asked for by its address is for this machine. */
    asset->platform = "any";
    if (asset->name == NULL || asset->place == NULL || asset->signature == NULL)
        return no_memory(error);
    return make_one(name, asset, 1, arena, out, error);
}

/* ---- directories ---- */

/* Names of good files, in the arena. */
struct names {
    const char **items;
    size_t n;
};

static bool has_name(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++) {
        if (strcmp(names->items[i], name) == 0)
            return true;
    }
    return false;
}

static int take_names(
    DIR *directory, const char *path, struct arena *arena, struct names *out, struct error *error)
{
    const struct dirent *found = NULL;
    while ((errno = 0, found = readdir(directory)) != NULL) { /* NOLINT(concurrency-mt-unsafe) */
        if (!asset_name_is_good(found->d_name))
            continue;
        if (out->n == SOURCE_FILES_MAX)
            return error_set(error, STATUS_RESOURCE_EXHAUSTED, "%s has more than %d files", path,
                SOURCE_FILES_MAX);
        out->items[out->n] = arena_strdup(arena, found->d_name);
        if (out->items[out->n++] == NULL)
            return no_memory(error);
    }
    return errno == 0 ? 0 : error_set_errno(error, errno, "reading %s", path);
}

static int list_names(const char *path, struct arena *arena, struct names *out, struct error *error)
{
    *out = (struct names){.items = arena_calloc(arena, SOURCE_FILES_MAX, sizeof *out->items)};
    if (out->items == NULL)
        return no_memory(error);
    DIR *directory = opendir(path);
    if (directory == NULL)
        return error_set_errno(error, errno, "opening %s", path);
    int result = take_names(directory, path, arena, out, error);
    (void)closedir(directory);
    return result;
}

/* `name` of `directory` as an asset, with its size and its signature. */
static int describe(const char *directory, const char *name, bool is_signed, struct arena *arena,
    struct release_asset *out, struct error *error)
{
    struct stat status;
    *out = (struct release_asset){
        .name = name, .place = arena_printf(arena, "%s/%s", directory, name)};
    if (is_signed)
        out->signature = arena_printf(arena, "%s/%s%s", directory, name, SIGNATURE_SUFFIX);
    if (arena_is_exhausted(arena))
        return no_memory(error);
    if (stat(out->place, &status) == 0 && S_ISREG(status.st_mode))
        out->size = (uint64_t)status.st_size;
    return 0;
}

static bool is_signed(const struct names *names, const char *name)
{
    char signature[ASSET_NAME_MAX + sizeof SIGNATURE_SUFFIX];
    (void)snprintf(signature, sizeof signature, "%s%s", name, SIGNATURE_SUFFIX);
    return has_name(names, signature);
}

static bool is_checksums(const char *name, const char *archive)
{
    size_t len = strlen(archive);
    return strcmp(name, "SHA256SUMS") == 0 ||
           (strncmp(name, archive, len) == 0 && strcmp(name + len, ".sha256") == 0);
}

/* The archive `archive`, and what it can be checked with. `platform` may be NULL. */
static int list_archive(const char *directory, const struct names *names, const char *archive,
    const char *platform, struct arena *arena, struct releases *out, struct error *error)
{
    size_t n = 0;
    struct release_asset *assets = arena_calloc(arena, 3, sizeof *assets);
    if (assets == NULL)
        return no_memory(error);
    int result =
        describe(directory, archive, is_signed(names, archive), arena, &assets[n++], error);
    assets[0].platform = platform;
    for (size_t i = 0; result == 0 && i < names->n && n < 3; i++) {
        const char *name = names->items[i];
        if (is_checksums(name, archive))
            result = describe(directory, name, is_signed(names, name), arena, &assets[n++], error);
    }
    return result < 0 ? result : make_one(archive, assets, n, arena, out, error);
}

static bool same_version(const struct release *a, const struct release *b)
{
    return strcmp(a->version.text, b->version.text) == 0;
}

/* Archives of one version are files of one release. */
static int join_release(
    struct release *into, const struct release *from, struct arena *arena, struct error *error)
{
    struct release_asset *assets =
        arena_calloc(arena, into->n_assets + from->n_assets, sizeof *assets);
    if (assets == NULL)
        return no_memory(error);
    /* Each has at least its archive. */
    assert(into->assets != NULL && from->assets != NULL);
    memcpy(assets, into->assets, into->n_assets * sizeof *assets);
    memcpy(assets + into->n_assets, from->assets, from->n_assets * sizeof *assets);
    into->assets = assets;
    into->n_assets += from->n_assets;
    return 0;
}

static int add_archive(const char *directory, const struct names *names, const char *archive,
    struct arena *arena, struct releases *out, struct error *error)
{
    struct releases one = {.n = 0};
    struct version version;
    if (asset_name_archive(archive) == 0 || !asset_name_version(archive, &version))
        return 0;
    int result = list_archive(directory, names, archive, NULL, arena, &one, error);
    if (result < 0 || one.n == 0)
        return result;
    for (size_t i = 0; i < out->n; i++) {
        if (same_version(&out->items[i], &one.items[0]))
            return out->items[i].n_assets + one.items[0].n_assets > RELEASE_ASSETS_MAX
                       ? 0
                       : join_release(&out->items[i], &one.items[0], arena, error);
    }
    if (out->n < RELEASES_MAX)
        out->items[out->n++] = one.items[0];
    return 0;
}

static int list_index(
    const char *path, struct arena *arena, struct releases *out, struct error *error)
{
    char *text = NULL;
    size_t len = 0;
    int result = fd_read_file(path, RELEASE_JSON_BYTES_MAX, &text, &len, error);
    if (result < 0)
        return result;
    result = release_json_read(RELEASE_FORMAT_INDEX, text, len, path, arena, out, error);
    free(text);
    return error_add_context(error, result, "%s", path);
}

static int list_directory(
    const char *path, struct arena *arena, struct releases *out, struct error *error)
{
    struct names names;
    int result = list_names(path, arena, &names, error);
    if (result < 0)
        return result;
    if (has_name(&names, "index.json")) {
        const char *index = arena_printf(arena, "%s/index.json", path);
        return index == NULL ? no_memory(error) : list_index(index, arena, out, error);
    }
    *out = (struct releases){.items = arena_calloc(arena, RELEASES_MAX, sizeof *out->items)};
    if (out->items == NULL)
        return no_memory(error);
    for (size_t i = 0; result == 0 && i < names.n; i++)
        result = add_archive(path, &names, names.items[i], arena, out, error);
    releases_sort(out);
    return result;
}

static int list_file(
    const char *path, struct arena *arena, struct releases *out, struct error *error)
{
    const char *name = last_component(path);
    const char *directory =
        arena_strndup(arena, path, (size_t)(name - path) > 1 ? (size_t)(name - path) - 1 : 1);
    struct names names;
    if (directory == NULL)
        return no_memory(error);
    if (asset_name_archive(name) == 0)
        return list_index(path, arena, out, error);
    int result = list_names(directory, arena, &names, error);
    if (result < 0)
        return result;
    name = arena_strdup(arena, name);
    /* What was asked for by its name is for this machine. */
    return name == NULL ? no_memory(error)
                        : list_archive(directory, &names, name, "any", arena, out, error);
}

int source_path_list(
    const char *path, struct arena *arena, struct releases *out, struct error *error)
{
    struct stat status;
    if (stat(path, &status) < 0) {
        int result = error_set_errno(error, errno, "looking for releases at %s", path);
        error_set_hint(error, "give a path that exists, or a URL");
        return result;
    }
    return S_ISDIR(status.st_mode) ? list_directory(path, arena, out, error)
                                   : list_file(path, arena, out, error);
}
