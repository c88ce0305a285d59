/* Any text as a list of releases; the first byte says whose form it has. What is read keeps what
 * release.h promises. */
#include <stdlib.h>
#include <string.h>

#include "client/updater/release_json.h"
#include "client/updater/url.h"

enum { FORMATS = 4, ARENA_BYTES = 8 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check_place(const char *place, bool is_local)
{
    struct url url;
    demand(place != NULL);
    if (is_local && place[0] == '/')
        demand(strncmp(place, "/srv/", 5) == 0 && strstr(place, "/../") == NULL);
    else
        demand(url_parse(place, true, &url, NULL) == 0);
}

static void check_release(const struct release *release, bool is_local)
{
    static const struct platform platform = {.system = "linux", .machine = "x86_64"};
    struct release_choice choice;
    struct version again;
    demand(
        version_parse(release->version.text, &again) && strchr(release->version.text, '/') == NULL);
    demand(strlen(release->notes) <= RELEASE_NOTES_MAX);
    for (size_t i = 0; i < release->n_assets; i++) {
        const struct release_asset *asset = &release->assets[i];
        demand(asset_name_is_good(asset->name));
        check_place(asset->place, is_local);
        if (asset->signature != NULL)
            check_place(asset->signature, is_local);
        demand(asset->sha256 == NULL || strlen(asset->sha256) == CHECKSUM_SIZE - 1);
    }
    struct error error = ERROR_INIT;
    if (release_choose(release, &platform, "cn", &choice, &error) < 0) {
        demand(error.text[0] != '\0');
        return;
    }
    demand(asset_name_archive(choice.asset->name) > 0);
    demand(choice.n_places == choice.asset->n_mirrors + 1);
    for (size_t i = 0; i < choice.n_places; i++)
        check_place(choice.places[i], is_local);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct releases list = {.n = 0};
    struct error error = ERROR_INIT;
    if (size == 0)
        return 0;
    bool is_local = (data[0] & FORMATS) != 0;
    arena_init(&arena, ARENA_BYTES);
    int result = release_json_read((enum release_format)(data[0] % FORMATS), (const char *)data + 1,
        size - 1, is_local ? "/srv/index.json" : "https://host/r/index.json", &arena, &list,
        &error);
    demand(result == 0 || error.text[0] != '\0');
    for (size_t i = 0; result == 0 && i < list.n; i++) {
        check_release(&list.items[i], is_local);
        demand(i == 0 || version_compare(&list.items[i - 1].version, &list.items[i].version) >= 0);
    }
    arena_deinit(&arena);
    return 0;
}
