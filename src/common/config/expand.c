/* ${host}, ${port}, ${url}, ${root}, ${<service>.host}, ${<service>.port}, ${<service>.url} and
 * environment names in the texts of a service. `$$` is one `$`; a `$` before anything but `{` stays
 * as it is, so that a shell's own $VARIABLES reach the shell. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "flocks/v1/config.info.h"

#include "common/base/buffer.h"
#include "common/config/address.h"
#include "common/config/draft.h"
#include "common/config/environment.h"
#include "common/schema/schema_path.h"

enum {
    /* Longest text after expansion; one argument of a
     * program is bounded by the kernel at 128 KiB. */
    EXPANDED_TEXT_MAX = 64 * 1024
};

/* One service being expanded. */
struct expander {
    struct draft *draft;
    const char *name;
    const flocks_service_config *service;
    struct schema_path path;
};

/* ---- names ---- */

/* Value of "host", "port" or "url" of a service; NULL: not one of these, or it has no port. */
static const char *endpoint_value(struct expander *expander, const flocks_service_config *service,
    const char *name, size_t name_len)
{
    struct arena *arena = expander->draft->arena;
    if (name_len == 4 && memcmp(name, "host", 4) == 0)
        return service->host;
    if (service->port == 0)
        return NULL;
    if (name_len == 4 && memcmp(name, "port", 4) == 0)
        return arena_printf(arena, "%" PRIu32, service->port);
    if (name_len == 3 && memcmp(name, "url", 3) == 0)
        return address_url(service->host, service->port, arena);
    return NULL;
}

static const flocks_service_config *find_service(
    const flocks_config *message, const char *name, size_t name_len)
{
    for (size_t i = 0; i < message->n_services; i++) {
        const char *candidate = message->services[i]->key;
        if (strlen(candidate) == name_len && memcmp(candidate, name, name_len) == 0)
            return message->services[i]->value;
    }
    return NULL;
}

/* NULL: the name means nothing. */
static const char *look_up(struct expander *expander, const char *name, size_t name_len)
{
    const struct draft *draft = expander->draft;
    const char *dot = memchr(name, '.', name_len);
    if (dot != NULL) {
        const flocks_service_config *service =
            find_service(draft->message, name, (size_t)(dot - name));
        size_t rest_len = name_len - (size_t)(dot - name) - 1;
        return service != NULL ? endpoint_value(expander, service, dot + 1, rest_len) : NULL;
    }
    if (name_len == 4 && memcmp(name, "root", 4) == 0)
        return draft->request->root;
    const char *value = endpoint_value(expander, expander->service, name, name_len);
    return value != NULL ? value : environment_get(draft->environment, name, name_len);
}

static void refuse_name(struct expander *expander, const char *name, size_t name_len)
{
    struct draft *draft = expander->draft;
    int shown = (int)(name_len < 60 ? name_len : 60);
    bool is_port = name_len == 4 && memcmp(name, "port", 4) == 0;
    /* A port that was refused is missing here only because of that. */
    if (is_port && draft_is_mistaken(draft, draft_service_path(draft, expander->name, "port")))
        return;
    struct mistake *mistake =
        is_port ? draft_refuse(draft, expander->path.text, "${port}: this service has no port")
                : draft_refuse(draft, expander->path.text, "unknown name ${%.*s}", shown, name);
    mistake_set_hint(draft->mistakes, mistake,
        "names are host, port, url, root, SERVICE.port and environment variables that are set; "
        "$${%.*s} keeps the text as it is",
        shown, name);
}

/* ---- texts ---- */

/* One "$..." at `text`; what it becomes is appended. Bytes eaten; 0: memory. */
static size_t expand_dollar(struct expander *expander, const char *text, struct buffer *out)
{
    if (text[1] == '$')
        return buffer_append(out, "$", 1) == 0 ? 2 : 0;
    const char *end = text[1] == '{' ? strchr(text, '}') : NULL;
    if (end == NULL)
        return buffer_append(out, "$", 1) == 0 ? 1 : 0;
    const char *name = text + 2;
    size_t name_len = (size_t)(end - name);
    const char *value = look_up(expander, name, name_len);
    if (value == NULL) {
        refuse_name(expander, name, name_len);
        value = "";
    }
    return buffer_append_text(out, value) == 0 ? name_len + 3 : 0;
}

/* False: the buffer's bound. */
static bool expand_into(struct expander *expander, const char *text, struct buffer *out)
{
    while (*text != '\0') {
        size_t plain = strcspn(text, "$");
        if (buffer_append(out, text, plain) != 0)
            return false;
        text += plain;
        size_t eaten = *text == '$' ? expand_dollar(expander, text, out) : 0;
        if (*text == '$' && eaten == 0)
            return false;
        text += eaten;
    }
    return true;
}

/* The text itself when it holds no '$'. */
static const char *expand_text(struct expander *expander, const char *text)
{
    if (strchr(text, '$') == NULL)
        return text;
    struct draft *draft = expander->draft;
    struct buffer expanded CLEANUP(buffer_deinit);
    buffer_init(&expanded, EXPANDED_TEXT_MAX);
    if (!expand_into(expander, text, &expanded)) {
        (void)draft_refuse(
            draft, expander->path.text, "is longer than %d bytes when expanded", EXPANDED_TEXT_MAX);
        return text;
    }
    size_t len = buffer_length(&expanded);
    if (len == 0)
        return "";
    const char *copy = arena_strndup(draft->arena, (const char *)buffer_data(&expanded), len);
    if (copy == NULL)
        draft->is_out_of_memory = true;
    return copy != NULL ? copy : text;
}

/* ---- messages ---- */

static void expand_message(struct expander *expander, const struct crpc_message_info *info,
    const ProtobufCMessage *message);

static void expand_element(struct expander *expander, const struct schema_field *field,
    const ProtobufCMessage *message, size_t index)
{
    union schema_value value = schema_get(message, field, index);
    if (field->descriptor->type == PROTOBUF_C_TYPE_STRING) {
        value.text = expand_text(expander, value.text);
        if (schema_field_is_repeated(field))
            schema_set_at(schema_message_writable(message), field, index, value);
        else
            schema_set(schema_message_writable(message), field, value);
    } else if (schema_field_is_message(field)) {
        expand_message(expander, field->info->message, value.message);
    }
}

static void expand_map(
    struct expander *expander, const struct schema_field *map, const ProtobufCMessage *message)
{
    struct schema_field key = schema_field_at(map->info->message, 0);
    struct schema_field value = schema_field_at(map->info->message, 1);
    for (size_t i = 0; i < schema_count(message, map); i++) {
        const ProtobufCMessage *entry = schema_get(message, map, i).message;
        const char *name = schema_get(entry, &key, 0).text;
        size_t before = schema_path_push(&expander->path, name, strlen(name));
        expand_element(expander, &value, entry, 0);
        schema_path_pop(&expander->path, before);
    }
}

static void expand_list(
    struct expander *expander, const struct schema_field *list, const ProtobufCMessage *message)
{
    for (size_t i = 0; i < schema_count(message, list); i++) {
        size_t before = schema_path_push_index(&expander->path, i);
        expand_element(expander, list, message, i);
        schema_path_pop(&expander->path, before);
    }
}

/* Names of things, not texts for a program. */
static bool is_literal(const struct crpc_field_info *field)
{
    static const char *const literal[] = {"host", "after", "member"};
    for (size_t i = 0; i < ARRAY_LENGTH(literal); i++) {
        if (strcmp(field->name, literal[i]) == 0)
            return true;
    }
    return false;
}

static void expand_message(struct expander *expander, const struct crpc_message_info *info,
    const ProtobufCMessage *message)
{
    for (size_t i = 0; i < info->n_fields; i++) {
        struct schema_field field = schema_field_at(info, i);
        if (schema_count(message, &field) == 0 || is_literal(field.info))
            continue;
        size_t before =
            schema_path_push(&expander->path, field.info->name, strlen(field.info->name));
        if (field.info->is_map)
            expand_map(expander, &field, message);
        else if (schema_field_is_repeated(&field))
            expand_list(expander, &field, message);
        else
            expand_element(expander, &field, message, 0);
        schema_path_pop(&expander->path, before);
    }
}

void expand_texts(struct draft *draft)
{
    for (size_t i = 0; i < draft->message->n_services; i++) {
        const flocks_config_services_entry *entry = draft->message->services[i];
        struct expander expander = {.draft = draft, .name = entry->key, .service = entry->value};
        (void)schema_path_push(&expander.path, "services", strlen("services"));
        (void)schema_path_push(&expander.path, entry->key, strlen(entry->key));
        expand_message(&expander, &flocks_service_config_info, &entry->value->base);
    }
}
