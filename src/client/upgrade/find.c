/* Which sources are asked, in which order, and what happens with what they say. Which release of a
 * list it is: find_pick.c. */
#include "client/upgrade/find.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "flocks/v1/upgrade.names.h"

#include "client/updater/archive_path.h"
#include "client/upgrade/find_pick.h"
#include "client/upgrade/settings.h"
#include "common/base/utf8.h"

enum {
    /* Of what is said about the sources that failed. */
    FAILURE_BYTES_MAX = 511
};

/* One source as it was written, and as it may be shown. */
struct finding_source {
    struct source source;
    const char *shown;
};

struct finding {
    const struct update_find_request *request;
    const struct update_settings *settings;
    struct update_found *out;
    struct error *error;
    struct version wanted;
    bool has_wanted;
    struct finding_source sources[UPDATE_SOURCES_MAX];
    size_t n_sources;
    /* The only source that may see the token. */
    struct source token_source;
    bool has_token_source;
    /* What the last source that failed said, and whether all said NOT_FOUND, or one UNAVAILABLE. */
    struct error last;
    bool is_all_missing;
    bool is_any_unavailable;
};

static int no_memory(struct error *error)
{
    return error_set_errno(error, ENOMEM, "looking for a release");
}

/* ---- the disk ---- */

static int look_at_disk(struct finding *finding)
{
    struct release_dir dir;
    struct update_found *out = finding->out;
    int result = release_dir_open(finding->settings->paths.root, false, &dir, finding->error);
    if (result != 0)
        return result < 0 ? result : 0;
    result = release_dir_list(&dir, &out->installed, finding->error);
    if (result == 0)
        result = release_dir_current(&dir, out->current, finding->error);
    release_dir_close(&dir);
    return result < 0 ? result : 0;
}

/* `version` is on the disk, and nothing is to be fetched. */
static int take_installed(struct finding *finding, const char *version)
{
    struct update_found *out = finding->out;
    struct version chosen;
    struct version current;
    if (strcmp(version, out->current) == 0)
        return UPDATE_FIND_NOTHING;
    (void)memccpy(out->version, version, '\0', sizeof out->version - 1);
    (void)memccpy(out->name, version, '\0', sizeof out->name - 1);
    out->is_installed = true;
    out->is_newer = !version_parse(out->current, &current) ||
                    (version_parse(version, &chosen) && version_compare(&chosen, &current) > 0);
    return 0;
}

static int say_not_on_disk(struct finding *finding)
{
    int result = error_set(finding->error, STATUS_NOT_FOUND,
        "finding the release: %s is not on the disk", finding->wanted.text);
    error_set_hint(finding->error, "`flocks update --list` shows what there is");
    return result;
}

/* ---- sources ---- */

static bool is_host(const struct source *source)
{
    return source->kind == SOURCE_GITHUB || source->kind == SOURCE_GITEE ||
           source->kind == SOURCE_GITLAB;
}

/* "github:o/r" and paths as they were written; of URLs no more than url.h shows. */
static const char *show_source(
    const char *text, const struct source *source, struct arena *arena, struct error *error)
{
    struct url url;
    char plain[ARCHIVE_PATH_SHOWN_SIZE];
    const char *shown = source->place;
    if (is_host(source) && strstr(text, "://") == NULL)
        shown = text;
    else if (source_is_remote(source) && url_parse(source->place, true, &url, error) == 0)
        shown = url.shown;
    archive_path_show(shown, plain);
    return arena_strdup(arena, plain);
}

static int add_source(struct finding *finding, const char *text)
{
    struct finding_source *added = &finding->sources[finding->n_sources];
    if (finding->n_sources == UPDATE_SOURCES_MAX)
        return 0;
    int result = source_parse(text, &added->source, finding->error);
    if (result < 0)
        return result;
    added->shown = show_source(text, &added->source, &finding->out->arena, finding->error);
    if (added->shown == NULL)
        return no_memory(finding->error);
    if (is_host(&added->source) && !finding->has_token_source) {
        finding->token_source = added->source;
        finding->has_token_source = true;
    }
    finding->n_sources++;
    return 0;
}

/* As source_order, which is stable as well: `shown` goes along. */
static void order_sources(struct finding *finding)
{
    struct source ordered[UPDATE_SOURCES_MAX];
    struct finding_source before[UPDATE_SOURCES_MAX];
    bool is_taken[UPDATE_SOURCES_MAX] = {false};
    size_t n = finding->n_sources;
    memcpy(before, finding->sources, sizeof before);
    for (size_t i = 0; i < n; i++)
        ordered[i] = before[i].source;
    source_order(ordered, n, finding->settings->region);
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < n &&
               (is_taken[k] || memcmp(&before[k].source, &ordered[i], sizeof ordered[i]) != 0))
            k++;
        if (k < n) {
            is_taken[k] = true;
            finding->sources[i] = before[k];
        }
    }
}

static int take_sources(struct finding *finding)
{
    const flocks_update_config *update = finding->settings->update;
    const char *from = finding->request->from;
    int result = 0;
    if (from != NULL && from[0] != '\0')
        return error_add_context(finding->error, add_source(finding, from), "finding the release");
    for (size_t i = 0; result == 0 && i < update->n_sources; i++) {
        result = error_add_context(finding->error, add_source(finding, update->sources[i]),
            "finding the release: update.sources[%zu]", i);
    }
    order_sources(finding);
    return result;
}

static int say_no_source(struct finding *finding)
{
    int result = error_set(finding->error, STATUS_FAILED_PRECONDITION,
        "finding the release: no source of releases is configured");
    error_set_hint(
        finding->error, "name one in update.sources of flocks.yaml, or with --from PATH or URL");
    return result;
}

static void tell(const struct finding *finding, const char *shown)
{
    const struct update_find_request *request = finding->request;
    char message[FAILURE_BYTES_MAX + 1];
    if (request->on_progress == NULL)
        return;
    (void)snprintf(message, sizeof message, "Looking for releases at %s", shown);
    struct update_progress progress = {.step = FLOCKS_UPGRADE_STEP_CHECKING, .message = message};
    request->on_progress(request->data, &progress);
}

/* ---- what a source says ---- */

static int note_failure(
    struct finding *finding, const struct finding_source *source, const struct error *failure)
{
    struct update_found *out = finding->out;
    const char *text = arena_printf(&out->arena, "%s: %s", source->shown, failure->text);
    if (text == NULL)
        return no_memory(finding->error);
    size_t len = strlen(text);
    out->failures[out->n_failures++] =
        len <= FAILURE_BYTES_MAX
            ? text
            : arena_strndup(&out->arena, text, utf8_cut(text, len, FAILURE_BYTES_MAX));
    finding->last = *failure;
    finding->is_all_missing &= failure->code == STATUS_NOT_FOUND;
    finding->is_any_unavailable |= failure->code == STATUS_UNAVAILABLE;
    return 0;
}

/* What the list says about what is wanted: 0 with everything in `out`, UPDATE_FIND_NOTHING, or why
 * another source should be asked. */
static int take_list(struct finding *finding, const struct finding_source *source,
    struct releases *list, struct error *failure)
{
    struct update_found *out = finding->out;
    struct find_pick pick = {.request = finding->request,
        .wanted = finding->has_wanted ? finding->wanted.text : NULL,
        .is_remote = source_is_remote(&source->source),
        .is_one_file = source->source.kind == SOURCE_ARCHIVE ||
                       (source->source.kind == SOURCE_PATH && list->n == 1 &&
                           asset_name_archive(source->source.place) > 0)};
    out->source_shown = source->shown;
    out->available = *list;
    return find_pick(&pick, out, failure);
}

/* What a source that failed left. */
static void forget_choice(struct update_found *out)
{
    out->release = NULL;
    out->choice = (struct release_choice){.asset = NULL};
    out->available = (struct releases){.n = 0};
    out->version[0] = '\0';
    out->name[0] = '\0';
    out->source_shown = "";
    out->warning = "";
    out->needs_signature = false;
}

/* 0, UPDATE_FIND_NOTHING, negative: fatal; FIND_PICK_NEXT: noted. */
static int ask(struct finding *finding, const struct finding_source *source)
{
    const struct update_settings *settings = finding->settings;
    struct update_found *out = finding->out;
    struct error failure = ERROR_INIT;
    struct releases list = {.n = 0};
    bool has_token = finding->has_token_source && is_host(&source->source) &&
                     strcmp(source->source.place, finding->token_source.place) == 0;
    struct source_options options = {.token = has_token ? settings->token : NULL,
        .ca_file = settings->ca_file,
        .allow_http = settings->update->allow_http,
        .cancel_fd = finding->request->cancel_fd};
    tell(finding, source->shown);
    arena_deinit(&out->lists);
    arena_init(&out->lists, SOURCE_ARENA_BYTES);
    int result = source_list(&source->source, &options, &out->lists, &list, NULL, &failure);
    if (result == 0)
        result = take_list(finding, source, &list, &failure);
    if (result >= 0)
        return result;
    forget_choice(out);
    if (result == -STATUS_CANCELLED) {
        if (finding->error != NULL)
            *finding->error = failure;
        return error_add_context(finding->error, result, "finding the release");
    }
    result = note_failure(finding, source, &failure);
    return result < 0 ? result : FIND_PICK_NEXT;
}

static int say_all_failed(struct finding *finding)
{
    const struct update_found *out = finding->out;
    if (finding->n_sources == 1) {
        if (finding->error != NULL)
            *finding->error = finding->last;
        return error_add_context(finding->error, -(int)finding->last.code,
            "finding the release: %s", finding->sources[0].shown);
    }
    enum status_code code = finding->last.code;
    if (finding->is_any_unavailable)
        code = STATUS_UNAVAILABLE;
    char text[ERROR_TEXT_MAX + 1] = "";
    size_t n = 0;
    for (size_t i = 0; i < out->n_failures && n < sizeof text; i++) {
        int more =
            snprintf(text + n, sizeof text - n, "%s%s", i == 0 ? "" : "; ", out->failures[i]);
        n += more < 0 ? 0 : (size_t)more;
    }
    int result = error_set(finding->error, code,
        "finding the release: no source has one that can be installed: %s", text);
    error_set_hint(finding->error, "%s",
        finding->is_all_missing ? "`flocks update --list` shows what there is"
                                : finding->last.hint);
    return result;
}

static int ask_sources(struct finding *finding)
{
    int result = take_sources(finding);
    if (result < 0)
        return result;
    finding->is_all_missing = true;
    for (size_t i = 0; i < finding->n_sources; i++) {
        result = ask(finding, &finding->sources[i]);
        if (result != FIND_PICK_NEXT)
            return result;
    }
    if (finding->request->want_list)
        return UPDATE_FIND_NOTHING;
    return finding->n_sources == 0 ? say_no_source(finding) : say_all_failed(finding);
}

/* ---- all of it ---- */

static int check_request(struct finding *finding)
{
    const char *version = finding->request->version;
    finding->has_wanted = version != NULL && version[0] != '\0';
    if (!finding->has_wanted ||
        (version_parse(version, &finding->wanted) && release_name_is_good(finding->wanted.text)))
        return 0;
    char shown[ARCHIVE_PATH_SHOWN_SIZE];
    archive_path_show(version, shown);
    int result = error_set(
        finding->error, STATUS_INVALID_ARGUMENT, "finding the release: '%s' is no version", shown);
    error_set_hint(finding->error, "write it as 1.2.3; `flocks update --list` shows what there is");
    return result;
}

static int find(struct finding *finding)
{
    const struct update_find_request *request = finding->request;
    int result = check_request(finding);
    if (result == 0)
        result = look_at_disk(finding);
    if (result < 0)
        return result;
    bool is_there =
        finding->has_wanted && find_pick_is_installed(finding->out, finding->wanted.text);
    if (is_there && (request->is_local || !(request->force || request->want_list)))
        return take_installed(finding, finding->wanted.text);
    if (request->is_local)
        return say_not_on_disk(finding);
    return ask_sources(finding);
}

int update_find(
    const struct update_find_request *request, struct update_found *out, struct error *error)
{
    struct finding finding = {
        .request = request, .settings = request->settings, .out = out, .error = error};
    *out = (struct update_found){.warning = "", .source_shown = ""};
    arena_init(&out->arena, SOURCE_ARENA_BYTES);
    arena_init(&out->lists, SOURCE_ARENA_BYTES);
    int result = find(&finding);
    if (result != 0) {
        out->version[0] = '\0';
        out->name[0] = '\0';
    }
    return result;
}

void update_found_deinit(struct update_found *found)
{
    arena_deinit(&found->lists);
    arena_deinit(&found->arena);
}
