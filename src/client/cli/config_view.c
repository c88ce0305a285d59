/* YAML out by descriptor. It can be read back: texts that YAML would take for something else are
 * quoted. */
#include "client/cli/config_view.h"

#include <stdlib.h>
#include <string.h>

#include "flocks/v1/config.info.h"

#include "client/cli/terminal.h"
#include "common/schema/message.h"
#include "common/schema/schema_value.h"

enum {
    PATH_TEXT_MAX = 512,
    INDENT = 2,
    /* Where the origins begin, where the value leaves room. */
    ORIGIN_COLUMN = 44
};

/* One pass over the message. `path` is the path of what is being written, "services.backend". */
struct pass {
    const struct config_view *view;
    const flocks_config_origin **sorted; /* by path, view->n_origins of them */
    struct arena *arena;
    FILE *stream;
    char path[PATH_TEXT_MAX];
    size_t path_len;
    int depth;
};

static int write_message(
    struct pass *pass, const struct crpc_message_info *info, const ProtobufCMessage *message);

/* ---- paths and origins ---- */

/* Answers the length to go back to with pop_name. */
static size_t push_name(struct pass *pass, const char *name)
{
    size_t before = pass->path_len;
    int len = snprintf(
        pass->path + before, sizeof(pass->path) - before, "%s%s", before > 0 ? "." : "", name);
    if (len > 0)
        pass->path_len += (size_t)len;
    if (pass->path_len >= sizeof(pass->path))
        pass->path_len = sizeof(pass->path) - 1;
    return before;
}

static void pop_name(struct pass *pass, size_t before)
{
    pass->path_len = before;
    pass->path[before] = '\0';
}

/* As strcmp, but a '.' sorts before everything else, so that what lies below a path follows it at
 * once. */
static int compare_paths(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++)
        continue;
    int left = *a == '.' ? 1 : (unsigned char)*a;
    int right = *b == '.' ? 1 : (unsigned char)*b;
    return left - right;
}

static int compare_origins(const void *a, const void *b)
{
    const flocks_config_origin *const *left = a;
    const flocks_config_origin *const *right = b;
    return compare_paths((*left)->path, (*right)->path);
}

static bool sort_origins(struct pass *pass)
{
    size_t n = pass->view->n_origins;
    /* An array of pointers. */
    // NOLINTNEXTLINE(bugprone-sizeof-expression)
    pass->sorted = arena_calloc(pass->arena, n, sizeof(*pass->sorted));
    if (!pass->sorted)
        return false;
    for (size_t i = 0; i < n; i++)
        pass->sorted[i] = pass->view->origins[i];
    if (n > 0)
        // NOLINTNEXTLINE(bugprone-sizeof-expression)
        qsort(pass->sorted, n, sizeof(*pass->sorted), compare_origins);
    return true;
}

/* The first origin whose path is not before the present one; NULL: none. */
static const flocks_config_origin *first_origin(const struct pass *pass)
{
    size_t low = 0;
    size_t high = pass->view->n_origins;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_paths(pass->sorted[middle]->path, pass->path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < pass->view->n_origins ? pass->sorted[low] : NULL;
}

static const flocks_config_origin *find_origin(const struct pass *pass)
{
    const flocks_config_origin *origin = first_origin(pass);
    return origin && strcmp(origin->path, pass->path) == 0 ? origin : NULL;
}

/* True when the present path or anything below it has an origin. */
static bool is_known(const struct pass *pass)
{
    const flocks_config_origin *origin = first_origin(pass);
    return origin && strncmp(origin->path, pass->path, pass->path_len) == 0 &&
           (origin->path[pass->path_len] == '\0' || origin->path[pass->path_len] == '.');
}

static const char *layer_text(const flocks_config_origin *origin)
{
    switch (flocks_config_layer_from((int)origin->layer)) {
    case FLOCKS_CONFIG_LAYER_DEFAULT:
        return "default";
    case FLOCKS_CONFIG_LAYER_FILE:
        return "file";
    case FLOCKS_CONFIG_LAYER_RUNNING:
        return "running daemon";
    case FLOCKS_CONFIG_LAYER_ENVIRONMENT:
        return "environment";
    case FLOCKS_CONFIG_LAYER_COMMAND_LINE:
        return "command line";
    case FLOCKS_CONFIG_LAYER_UNSPECIFIED:
        break;
    }
    return "unknown";
}

static void end_line(struct pass *pass, int column)
{
    const flocks_config_origin *origin = pass->view->with_origins ? find_origin(pass) : NULL;
    if (!origin) {
        fputc('\n', pass->stream);
        return;
    }
    int gap = column < ORIGIN_COLUMN ? ORIGIN_COLUMN - column : 2;
    fprintf(pass->stream, "%*s%s# %s", gap, "", terminal_color(TERMINAL_DIM, pass->view->color),
        layer_text(origin));
    if (origin->source[0] && strcmp(origin->source, layer_text(origin)) != 0) {
        fputc(' ', pass->stream);
        terminal_print_escaped(pass->stream, origin->source);
    }
    if (origin->line > 0)
        fprintf(pass->stream, ":%u", origin->line);
    fprintf(pass->stream, "%s\n", terminal_reset(pass->view->color));
}

/* ---- values ---- */

static bool is_plain(const char *text)
{
    static const char safe[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./@+=-";
    return text[0] && text[0] != '-' && text[0] != '=' && text[0] != '@' &&
           strspn(text, safe) == strlen(text);
}

/* Double quotes with JSON's escapes, which YAML shares. Answers the bytes written. */
static int write_quoted(FILE *stream, const char *text)
{
    int n = fprintf(stream, "\"");
    for (const char *p = text; *p; p++) {
        unsigned char byte = (unsigned char)*p;
        if (byte == '"' || byte == '\\')
            n += fprintf(stream, "\\%c", byte);
        else if (byte < 0x20 || byte == 0x7f)
            n += fprintf(stream, "\\u%04x", byte);
        else
            n += fprintf(stream, "%c", byte);
    }
    return n + fprintf(stream, "\"");
}

/* Answers the bytes written, or a negative status. */
static int write_scalar(
    struct pass *pass, const struct schema_field *field, union schema_value value)
{
    const char *text = schema_value_format(field, value, pass->arena);
    if (!text)
        return -STATUS_RESOURCE_EXHAUSTED;
    bool is_text = field->descriptor->type == PROTOBUF_C_TYPE_STRING;
    if (is_text && !is_plain(text))
        return write_quoted(pass->stream, text);
    return fprintf(pass->stream, "%s", text);
}

static int write_key(struct pass *pass, const char *name)
{
    int n = fprintf(pass->stream, "%*s", pass->depth * INDENT, "");
    n += is_plain(name) ? fprintf(pass->stream, "%s", name) : write_quoted(pass->stream, name);
    return n + fprintf(pass->stream, ":");
}

static int write_list(
    struct pass *pass, const struct schema_field *field, const ProtobufCMessage *message)
{
    int column = write_key(pass, field->info->name) + fprintf(pass->stream, " [");
    size_t n = schema_count(message, field);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            column += fprintf(pass->stream, ", ");
        int written = write_scalar(pass, field, schema_get(message, field, i));
        if (written < 0)
            return written;
        column += written;
    }
    end_line(pass, column + fprintf(pass->stream, "]"));
    return 0;
}

/* `value` under `name`, which is the last part of the path already. */
static int write_value(
    struct pass *pass, const char *name, const struct schema_field *field, union schema_value value)
{
    int column = write_key(pass, name);
    if (schema_value_is_text(field)) {
        column += fprintf(pass->stream, " ");
        int written = write_scalar(pass, field, value);
        if (written < 0)
            return written;
        end_line(pass, column + written);
        return 0;
    }
    if (value.message->descriptor->n_fields == 0) {
        end_line(pass, column + fprintf(pass->stream, " {}"));
        return 0;
    }
    fputc('\n', pass->stream);
    pass->depth++;
    int result = write_message(pass, field->info->message, value.message);
    pass->depth--;
    return result;
}

static int write_map(
    struct pass *pass, const struct schema_field *field, const ProtobufCMessage *message)
{
    const struct schema_field key = schema_field_at(field->info->message, 0);
    const struct schema_field value = schema_field_at(field->info->message, 1);
    size_t n = schema_count(message, field);
    int column = write_key(pass, field->info->name);
    if (n == 0) {
        end_line(pass, column + fprintf(pass->stream, " {}"));
        return 0;
    }
    fputc('\n', pass->stream);
    pass->depth++;
    int result = 0;
    for (size_t i = 0; result >= 0 && i < n; i++) {
        const ProtobufCMessage *entry = schema_get(message, field, i).message;
        const char *name = schema_get(entry, &key, 0).text;
        size_t before = push_name(pass, name);
        result = write_value(pass, name, &value, schema_get(entry, &value, 0));
        pop_name(pass, before);
    }
    pass->depth--;
    return result;
}

static int write_field(
    struct pass *pass, const struct schema_field *field, const ProtobufCMessage *message)
{
    if (field->info->is_map)
        return write_map(pass, field, message);
    if (schema_field_is_repeated(field))
        return write_list(pass, field, message);
    if (schema_count(message, field) == 0)
        return 0;
    return write_value(pass, field->info->name, field, schema_get(message, field, 0));
}

static int write_message(
    struct pass *pass, const struct crpc_message_info *info, const ProtobufCMessage *message)
{
    int result = 0;
    for (size_t i = 0; result >= 0 && i < info->n_fields; i++) {
        const struct schema_field field = schema_field_at(info, i);
        size_t before = push_name(pass, field.info->name);
        if (is_known(pass))
            result = write_field(pass, &field, message);
        pop_name(pass, before);
    }
    return result;
}

int config_view_print(
    const struct config_view *view, struct arena *arena, FILE *stream, struct error *error)
{
    struct pass pass = {.view = view, .arena = arena, .stream = stream};
    int result = sort_origins(&pass)
                     ? write_message(&pass, &flocks_config_info, &view->message->base)
                     : -STATUS_RESOURCE_EXHAUSTED;
    if (result < 0)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory to show the configuration");
    return 0;
}
