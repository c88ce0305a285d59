#include "client/updater/release_json.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "client/updater/archive_path.h"
#include "client/updater/url.h"
#include "common/base/utf8.h"

struct reader {
    enum release_format format;
    const char *base;
    struct arena *arena;
    struct error *error;
    /* Of what is read now: "releases[3].assets[0]". */
    size_t release;
    size_t asset;
    bool in_asset;
};

/* ---- mistakes ---- */

static int mistake(struct reader *reader, const char *member, const char *why)
{
    char asset[48] = "";
    if (reader->in_asset)
        (void)snprintf(asset, sizeof asset, ".assets[%zu]", reader->asset);
    int result = error_set(reader->error, STATUS_INVALID_ARGUMENT,
        "the list of releases is wrong at [%zu]%s.%s: %s", reader->release, asset, member, why);
    error_set_hint(reader->error, "check the address of the source; tell whoever publishes it");
    return result;
}

static int no_memory(struct reader *reader)
{
    return error_set(reader->error, STATUS_RESOURCE_EXHAUSTED, "the list of releases is too large");
}

/* ---- members ---- */

/* The text of a member; NULL: there is none, or another type. */
static const char *text_of(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

/* Of an index: a member that is there has its type. */
static int check_type(
    struct reader *reader, const json_t *object, const char *member, json_type type)
{
    const json_t *value = json_object_get(object, member);
    bool is_right = value == NULL || json_typeof(value) == type ||
                    (type == JSON_TRUE && json_is_boolean(value));
    return is_right ? 0 : mistake(reader, member, "it has another type");
}

static const char *keep(struct reader *reader, const char *text, size_t max)
{
    size_t len = text == NULL ? 0 : strlen(text);
    return arena_strndup(reader->arena, text == NULL ? "" : text, utf8_cut(text, len, max));
}

/* ---- places ---- */

static const char *beside_path(const char *base, const char *reference, struct arena *arena)
{
    char clean[ARCHIVE_PATH_MAX + 1];
    if (archive_path_clean(reference, clean) != NULL || clean[0] == '\0')
        return NULL;
    const char *slash = strrchr(base, '/');
    return slash == NULL ? NULL : arena_printf(arena, "%.*s/%s", (int)(slash - base), base, clean);
}

const char *release_place(const char *base, const char *reference, struct arena *arena)
{
    char url[URL_MAX + 1];
    struct url parsed;
    if (reference == NULL)
        return NULL;
    if (base[0] == '/' && strstr(reference, "://") == NULL)
        return beside_path(base, reference, arena);
    if (base[0] == '/')
        base = reference;
    /* Whether http is allowed is asked when it is downloaded. */
    if (url_resolve(base, reference, url, NULL) < 0 || url_parse(url, true, &parsed, NULL) < 0)
        return NULL;
    return arena_strdup(arena, url);
}

/* ---- assets ---- */

static int read_mirrors(struct reader *reader, const json_t *object, struct release_asset *out)
{
    const json_t *list = json_object_get(object, "mirrors");
    size_t n = json_array_size(list);
    int result = check_type(reader, object, "mirrors", JSON_ARRAY);
    if (result < 0 || n == 0)
        return result;
    if (n > RELEASE_MIRRORS_MAX)
        return mistake(reader, "mirrors", "there are too many");
    struct release_mirror *mirrors = arena_calloc(reader->arena, n, sizeof *mirrors);
    if (mirrors == NULL)
        return no_memory(reader);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(list, i);
        const char *region = text_of(one, "region");
        mirrors[i].url = release_place(reader->base, text_of(one, "url"), reader->arena);
        if (region == NULL || strlen(region) > RELEASE_REGION_MAX || mirrors[i].url == NULL)
            return mistake(reader, "mirrors", "each has a region and a URL");
        mirrors[i].region = keep(reader, region, RELEASE_REGION_MAX);
        if (mirrors[i].region == NULL)
            return no_memory(reader);
    }
    out->mirrors = mirrors;
    out->n_mirrors = n;
    return 0;
}

static int check_asset_types(struct reader *reader, const json_t *object)
{
    static const struct {
        const char *member;
        json_type type;
    } members[] = {{"name", JSON_STRING}, {"platform", JSON_STRING}, {"url", JSON_STRING},
        {"size", JSON_INTEGER}, {"sha256", JSON_STRING}, {"signature", JSON_STRING}};
    int result = json_is_object(object) ? 0 : mistake(reader, "", "it is no object");
    for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(members); i++)
        result = check_type(reader, object, members[i].member, members[i].type);
    return result;
}

static int read_checksum(struct reader *reader, const char *text, struct release_asset *out)
{
    char checksum[CHECKSUM_SIZE];
    if (!checksum_parse(text, strlen(text), checksum))
        return mistake(reader, "sha256", "it is not 64 hexadecimal digits");
    out->sha256 = arena_strdup(reader->arena, checksum);
    return out->sha256 == NULL ? no_memory(reader) : 0;
}

static int read_index_asset(struct reader *reader, const json_t *object, struct release_asset *out)
{
    int result = check_asset_types(reader, object);
    if (result < 0)
        return result;
    const char *name = text_of(object, "name");
    const char *url = text_of(object, "url");
    const char *signature = text_of(object, "signature");
    const char *sha256 = text_of(object, "sha256");
    const char *platform = text_of(object, "platform");
    if (name == NULL || !asset_name_is_good(name))
        return mistake(reader, "name", "it is no name of a file");
    json_int_t size = json_integer_value(json_object_get(object, "size"));
    if (size < 0)
        return mistake(reader, "size", "it is negative");
    out->size = (uint64_t)size;
    out->name = keep(reader, name, ASSET_NAME_MAX);
    out->place = release_place(reader->base, url == NULL ? name : url, reader->arena);
    out->signature = release_place(reader->base, signature, reader->arena);
    out->platform = platform == NULL ? NULL : keep(reader, platform, ASSET_NAME_MAX);
    if (arena_is_exhausted(reader->arena))
        return no_memory(reader);
    if (out->place == NULL)
        return mistake(reader, "url", "it leads to no place that can be asked");
    if (signature != NULL && out->signature == NULL)
        return mistake(reader, "signature", "it leads to no place that can be asked");
    result = sha256 == NULL ? 0 : read_checksum(reader, sha256, out);
    return result < 0 ? result : read_mirrors(reader, object, out);
}

/* 0; positive: left out. */
static int read_host_asset(struct reader *reader, const json_t *object, struct release_asset *out)
{
    static const char prefix[] = "sha256:";
    const char *name = text_of(object, "name");
    const char *url = text_of(object, "browser_download_url");
    const char *digest = text_of(object, "digest");
    const json_t *size = json_object_get(object, "size");
    if (reader->format == RELEASE_FORMAT_GITLAB) {
        url = text_of(object, "direct_asset_url");
        url = url == NULL ? text_of(object, "url") : url;
    }
    if (name == NULL || !asset_name_is_good(name))
        return 1;
    out->name = keep(reader, name, ASSET_NAME_MAX);
    out->place = release_place(reader->base, url, reader->arena);
    out->size = json_is_integer(size) && json_integer_value(size) > 0
                    ? (uint64_t)json_integer_value(size)
                    : 0;
    /* GitHub tells it since 2025. */
    if (digest != NULL && strncmp(digest, prefix, sizeof prefix - 1) == 0)
        (void)read_checksum(reader, digest + sizeof prefix - 1, out);
    if (arena_is_exhausted(reader->arena))
        return no_memory(reader);
    return out->place == NULL;
}

/* What the host makes from the repository: named after the tag, as it would save it. */
static int add_source(struct reader *reader, struct release *release, struct release_asset *out,
    const char *url, const char *suffix)
{
    const char *place = release_place(reader->base, url, reader->arena);
    if (place == NULL)
        return arena_is_exhausted(reader->arena) ? no_memory(reader) : 1;
    *out = (struct release_asset){.place = place, .is_source = true};
    out->name = arena_printf(reader->arena, "source-%s%s", release->version.text, suffix);
    return out->name == NULL ? no_memory(reader) : 0;
}

/* Signatures are files of their own: NAME.minisig beside NAME. */
static void join_signatures(struct release_asset *assets, size_t n)
{
    static const char suffix[] = ".minisig";
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(assets[i].name);
        for (size_t k = 0; k < n && assets[i].signature == NULL; k++) {
            const char *name = assets[k].name;
            if (strncmp(name, assets[i].name, len) == 0 && strcmp(name + len, suffix) == 0)
                assets[i].signature = assets[k].place;
        }
    }
}

static const json_t *list_of_assets(struct reader *reader, const json_t *release)
{
    const json_t *assets = json_object_get(release, "assets");
    return reader->format == RELEASE_FORMAT_GITLAB ? json_object_get(assets, "links") : assets;
}

static int read_sources(struct reader *reader, const json_t *object, struct release *release,
    struct release_asset *assets, size_t *n)
{
    static const char *const members[] = {"tarball_url", "zipball_url"};
    static const char *const suffixes[] = {".tar.gz", ".zip"};
    for (size_t i = 0; i < ARRAY_LENGTH(members); i++) {
        const char *url = text_of(object, members[i]);
        const json_t *sources = json_object_get(json_object_get(object, "assets"), "sources");
        for (size_t k = 0; url == NULL && k < json_array_size(sources); k++) {
            const json_t *source = json_array_get(sources, k);
            const char *format = text_of(source, "format");
            if (format != NULL && strcmp(format, suffixes[i] + 1) == 0)
                url = text_of(source, "url");
        }
        int result = url == NULL ? 1 : add_source(reader, release, &assets[*n], url, suffixes[i]);
        if (result < 0)
            return result;
        *n += result == 0;
    }
    return 0;
}

static int read_assets(struct reader *reader, const json_t *object, struct release *release)
{
    const json_t *list = list_of_assets(reader, object);
    size_t n_listed = json_array_size(list);
    n_listed = n_listed < RELEASE_ASSETS_MAX ? n_listed : RELEASE_ASSETS_MAX;
    /* Two more: what the host makes. */
    struct release_asset *assets = arena_calloc(reader->arena, n_listed + 2, sizeof *assets);
    size_t n = 0;
    int result = 0;
    if (assets == NULL)
        return no_memory(reader);
    for (size_t i = 0; result >= 0 && i < n_listed; i++) {
        const json_t *one = json_array_get(list, i);
        reader->asset = i;
        reader->in_asset = true;
        assets[n] = (struct release_asset){.size = 0};
        result = reader->format == RELEASE_FORMAT_INDEX ? read_index_asset(reader, one, &assets[n])
                                                        : read_host_asset(reader, one, &assets[n]);
        n += result == 0;
    }
    reader->in_asset = false;
    if (result >= 0 && reader->format != RELEASE_FORMAT_INDEX)
        result = read_sources(reader, object, release, assets, &n);
    if (result < 0)
        return result;
    join_signatures(assets, n);
    release->assets = assets;
    release->n_assets = n;
    return 0;
}

/* ---- releases ---- */

static int check_release_types(struct reader *reader, const json_t *object)
{
    static const struct {
        const char *member;
        json_type type;
    } members[] = {{"version", JSON_STRING}, {"notes", JSON_STRING}, {"page", JSON_STRING},
        {"prerelease", JSON_TRUE}, {"withdrawn", JSON_TRUE}, {"assets", JSON_ARRAY}};
    int result = json_is_object(object) ? 0 : mistake(reader, "", "it is no object");
    for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(members); i++)
        result = check_type(reader, object, members[i].member, members[i].type);
    return result;
}

/* 0; positive: left out. */
static int read_release(struct reader *reader, const json_t *object, struct release *out)
{
    bool is_index = reader->format == RELEASE_FORMAT_INDEX;
    const char *version = text_of(object, is_index ? "version" : "tag_name");
    const char *notes = text_of(object, is_index ? "notes" : "body");
    const char *page = text_of(object, is_index ? "page" : "html_url");
    int result = is_index ? check_release_types(reader, object) : 0;
    if (result < 0)
        return result;
    if (reader->format == RELEASE_FORMAT_GITLAB) {
        notes = text_of(object, "description");
        page = text_of(json_object_get(object, "_links"), "self");
    }
    *out =
        (struct release){.is_prerelease = json_is_true(json_object_get(object, "prerelease")) ||
                                          json_is_true(json_object_get(object, "upcoming_release")),
            .is_withdrawn = is_index && json_is_true(json_object_get(object, "withdrawn"))};
    if (json_is_true(json_object_get(object, "draft")) && !is_index)
        return 1;
    if (version == NULL || !version_parse(version, &out->version))
        return is_index ? mistake(reader, "version", "it is no version such as 1.2.0 or 1.2.0-rc.1")
                        : 1;
    out->notes = keep(reader, notes, RELEASE_NOTES_MAX);
    out->page = keep(reader, page, URL_MAX);
    if (out->notes == NULL || out->page == NULL)
        return no_memory(reader);
    return read_assets(reader, object, out);
}

static int read_list(struct reader *reader, const json_t *list, struct releases *out)
{
    size_t n = json_array_size(list);
    n = n < RELEASES_MAX ? n : RELEASES_MAX;
    out->n = 0;
    out->items = arena_calloc(reader->arena, n, sizeof *out->items);
    if (out->items == NULL)
        return no_memory(reader);
    for (size_t i = 0; i < n; i++) {
        reader->release = i;
        int result = read_release(reader, json_array_get(list, i), &out->items[out->n]);
        if (result < 0)
            return result;
        out->n += result == 0;
    }
    releases_sort(out);
    return 0;
}

static int refuse(struct reader *reader, const char *why)
{
    int result =
        error_set(reader->error, STATUS_INVALID_ARGUMENT, "not a list of releases: %s", why);
    error_set_hint(reader->error, "check the address of the source");
    return result;
}

/* The array of releases of an index; NULL and *out_result. */
static const json_t *open_index(struct reader *reader, const json_t *root, int *out_result)
{
    const json_t *format = json_object_get(root, "format");
    const json_t *list = json_object_get(root, "releases");
    *out_result = 0;
    if (!json_is_integer(format) || json_integer_value(format) < 1)
        *out_result = refuse(reader, "it has no number as \"format\"");
    else if (json_integer_value(format) > RELEASE_INDEX_FORMAT) {
        *out_result = error_set(reader->error, STATUS_UNIMPLEMENTED,
            "the list of releases has format %lld, which is newer than this program",
            (long long)json_integer_value(format));
        error_set_hint(reader->error, "update by hand once: give the archive with --from");
    } else if (!json_is_array(list))
        *out_result = refuse(reader, "it has no array as \"releases\"");
    return *out_result == 0 ? list : NULL;
}

int release_json_read(enum release_format format, const char *text, size_t text_len,
    const char *base, struct arena *arena, struct releases *out, struct error *error)
{
    struct reader reader = {.format = format, .base = base, .arena = arena, .error = error};
    json_error_t why;
    if (text_len > RELEASE_JSON_BYTES_MAX)
        return no_memory(&reader);
    json_t *root = json_loadb(text, text_len, JSON_REJECT_DUPLICATES, &why);
    if (root == NULL) {
        char place[128];
        (void)snprintf(
            place, sizeof place, "it is no JSON (line %d, column %d)", why.line, why.column);
        return refuse(&reader, place);
    }
    int result = 0;
    const json_t *list = format == RELEASE_FORMAT_INDEX ? open_index(&reader, root, &result) : root;
    if (result == 0)
        result =
            json_is_array(list) ? read_list(&reader, list, out) : refuse(&reader, "it is no array");
    json_decref(root);
    return result;
}
