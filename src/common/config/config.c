#include "common/config/config.h"

#include <string.h>
#include <unistd.h>

#include "flocks/v1/config.info.h"
#include "flocks/v1/types.names.h"

#include "common/base/fd.h"
#include "common/base/memory.h"
#include "common/config/builtin.h"
#include "common/config/draft.h"
#include "common/schema/yaml_read.h"

/* ---- the text ---- */

enum {
    /* Not a config_result: there is no file, and none was asked for. */
    ABSENT = 2
};

/* 0 with the text of the file; CONFIG_MISTAKEN; ABSENT. */
static int read_file(struct draft *draft, char **out, size_t *out_len, struct error *error)
{
    const struct config_request *request = draft->request;
    struct error why = ERROR_INIT;
    int result = fd_read_file(request->file, YAML_READ_MAX_BYTES, out, out_len, &why);
    if (result == -STATUS_NOT_FOUND && !request->file_is_named)
        return ABSENT;
    if (result == -STATUS_RESOURCE_EXHAUSTED) {
        struct mistake_place place = {request->file, 1, 1, ""};
        (void)mistakes_add(draft->mistakes, &place, "%s", why.text);
        return CONFIG_MISTAKEN;
    }
    if (result < 0 && error != NULL) {
        *error = why;
        error_set_hint(error, "check the path and its permissions");
    }
    return result;
}

/* ---- steps ---- */

/* The directory of a file with an absolute path. */
static const char *directory_of(const char *file, struct arena *arena)
{
    const char *slash = strrchr(file, '/');
    if (slash == NULL || slash == file)
        return "/";
    return arena_strndup(arena, file, (size_t)(slash - file));
}

static int no_memory(struct error *error)
{
    return error_set(error, STATUS_RESOURCE_EXHAUSTED, "the configuration takes too much memory");
}

static int read_text(struct draft *draft, const char *text, size_t text_len, struct error *error)
{
    ProtobufCMessage *message;
    struct yaml_origins origins;
    int result = yaml_read(text, text_len, draft->file, &flocks_config_info, draft->arena, &message,
        &origins, draft->mistakes, error);
    if (result < 0)
        return result;
    draft->message = (flocks_config *)message;
    if (message != NULL) {
        schema_sort_maps(&flocks_config_info, message);
        draft_take_origins(draft, &origins);
    }
    return 0;
}

static void run_steps(struct draft *draft)
{
    settings_apply(draft);
    expand_texts(draft);
    resolve_paths(draft);
    check_services(draft);
    if (!draft->request->skip_host_checks)
        check_host(draft);
    check_ports(draft);
    check_order(draft);
}

static bool copy_origins(const struct draft *draft, struct config *out)
{
    out->origins = arena_calloc(draft->arena, draft->n_origins, sizeof(flocks_config_origin *));
    if (out->origins == NULL)
        return false;
    for (size_t i = 0; i < draft->n_origins; i++) {
        const struct draft_origin *from = &draft->origins[i];
        if (from->is_place)
            continue;
        flocks_config_origin *origin = arena_alloc(draft->arena, sizeof(*origin));
        if (origin == NULL)
            return false;
        *origin = (flocks_config_origin)FLOCKS_CONFIG_ORIGIN_INIT;
        origin->path = from->path;
        origin->layer = from->layer;
        origin->source = from->source;
        origin->line = from->line;
        origin->column = from->column;
        out->origins[out->n_origins++] = origin;
    }
    return true;
}

static int finish(const struct draft *draft, struct config *out, struct error *error)
{
    *out = (struct config){
        .message = draft->message,
        .file = draft->is_builtin ? NULL : draft->file,
    };
    if (!copy_origins(draft, out) || config_digest(out->message, out->digest) != 0)
        return no_memory(error);
    return CONFIG_OK;
}

static int load_text(
    struct draft *draft, const char *text, size_t text_len, struct config *out, struct error *error)
{
    if (draft->file == NULL || draft->directory == NULL || text == NULL)
        return no_memory(error);
    size_t mistakes_before = draft->mistakes->n + draft->mistakes->n_dropped;
    int result = read_text(draft, text, text_len, error);
    if (result < 0)
        return result;
    if (draft->message != NULL && !draft->is_out_of_memory)
        run_steps(draft);
    if (draft->is_out_of_memory || arena_is_exhausted(draft->arena))
        return no_memory(error);
    if (draft->mistakes->n + draft->mistakes->n_dropped > mistakes_before) {
        mistakes_sort(draft->mistakes);
        return CONFIG_MISTAKEN;
    }
    return finish(draft, out, error);
}

static int load_file(
    struct draft *draft, const char *text, size_t text_len, struct config *out, struct error *error)
{
    const struct config_request *request = draft->request;
    const char *name =
        request->text != NULL && request->text_name != NULL ? request->text_name : request->file;
    draft->file = arena_strdup(draft->arena, name);
    draft->directory = directory_of(draft->request->file, draft->arena);
    return load_text(draft, text, text_len, out, error);
}

static int load_builtin(struct draft *draft, struct config *out, struct error *error)
{
    draft->is_builtin = true;
    draft->file = BUILTIN_FILE_NAME;
    draft->directory = builtin_directory(draft->environment, draft->request->root);
    const char *text = builtin_text(draft->environment, draft->directory, draft->arena);
    return load_text(draft, text, text != NULL ? strlen(text) : 0, out, error);
}

int config_load(const struct config_request *request, struct arena *arena, struct config *out,
    struct mistakes *mistakes, struct error *error)
{
    struct draft draft = {.request = request, .arena = arena, .mistakes = mistakes};
    draft.environment =
        request->environment != NULL ? request->environment : (const char *const *)environ;
    char *text CLEANUP(free_text) = NULL;
    size_t text_len;
    if (request->text != NULL)
        return load_file(&draft, request->text, request->text_len, out, error);
    int result = read_file(&draft, &text, &text_len, error);
    if (result == ABSENT)
        return load_builtin(&draft, out, error);
    return result == 0 ? load_file(&draft, text, text_len, out, error) : result;
}

void config_mistakes_print(FILE *out, const struct mistakes *mistakes)
{
    size_t n = mistakes->n + mistakes->n_dropped;
    fprintf(
        out, "the configuration has %zu mistake%s; nothing was changed\n", n, n == 1 ? "" : "s");
    mistakes_print(mistakes, out);
}

int config_mistake_error(const struct mistakes *mistakes, struct error *error)
{
    const struct mistake *first = &mistakes->items[0];
    size_t others = mistakes->n - 1 + mistakes->n_dropped;
    int result = error_set(error, STATUS_INVALID_ARGUMENT, "%s:%u:%u: %s%s%s", first->file,
        first->line, first->column, first->path, first->path[0] ? ": " : "", first->message);
    error->reason = FLOCKS_ERROR_REASON_INVALID_CONFIG;
    if (others > 0)
        error_set_hint(
            error, "%zu more mistakes%s%s", others, first->hint[0] ? "; " : "", first->hint);
    else
        error_set_hint(error, "%s", first->hint);
    return result;
}
