/* The parser behind options.h. */
#include "client/cli/options.h"

#include <stdio.h>
#include <string.h>

#include "common/schema/nearest.h"
#include "common/schema/schema_value.h"

enum { NUMBER_MAX = 1000000, DURATION_MAX_MS = 60 * 60 * 1000, NS_PER_MS = 1000 * 1000 };

static const struct option_row rows[OPTION_COUNT] = {
#define OPTIONS_ENTRY(id, name, letter, kind, value_name, help)                                    \
    [OPTION_##id] = {name, letter, OPTION_KIND_##kind, value_name, help},
    OPTIONS(OPTIONS_ENTRY)
#undef OPTIONS_ENTRY
};

const enum option_id options_common[] = {OPTION_HELP, OPTION_ROOT, OPTION_CONFIG, OPTION_SOCKET,
    OPTION_TIMEOUT, OPTION_JSON, OPTION_QUIET, OPTION_NO_COLOR, OPTION_END};

const struct option_row *option_row(enum option_id id)
{
    return &rows[id];
}

/* One run over an argument list. */
struct parse {
    const enum option_id *accepted;
    int argc;
    char *const *argv;
    int at;
    struct options *options;
    struct error *error;
};

static bool takes_value(enum option_kind kind)
{
    return kind != OPTION_KIND_FLAG && kind != OPTION_KIND_SWITCH;
}

static bool is_long_name(const struct option_row *row, const char *name, size_t len, bool *out_on)
{
    *out_on = true;
    if (strlen(row->name) == len && memcmp(row->name, name, len) == 0)
        return true;
    *out_on = false;
    return row->kind == OPTION_KIND_SWITCH && len > 3 && memcmp(name, "no-", 3) == 0 &&
           strlen(row->name) == len - 3 && memcmp(row->name, name + 3, len - 3) == 0;
}

static enum option_id find_long(
    const struct parse *parse, const char *name, size_t len, bool *out_on)
{
    const enum option_id *lists[] = {parse->accepted, options_common};
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
        for (const enum option_id *id = lists[i]; *id != OPTION_END; id++)
            if (is_long_name(&rows[*id], name, len, out_on))
                return *id;
    return OPTION_END;
}

static enum option_id find_letter(const struct parse *parse, char letter)
{
    const enum option_id *lists[] = {parse->accepted, options_common};
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
        for (const enum option_id *id = lists[i]; *id != OPTION_END; id++)
            if (rows[*id].letter == letter)
                return *id;
    return OPTION_END;
}

static int refuse_unknown(const struct parse *parse, const char *name, size_t len)
{
    int result =
        error_set(parse->error, STATUS_INVALID_ARGUMENT, "unknown option --%.*s", (int)len, name);
    struct nearest nearest;
    nearest_init(&nearest, name, len);
    const enum option_id *lists[] = {parse->accepted, options_common};
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
        for (const enum option_id *id = lists[i]; *id != OPTION_END; id++)
            nearest_offer(&nearest, rows[*id].name);
    const char *near = nearest_result(&nearest);
    if (near)
        error_set_hint(parse->error, "did you mean --%s?", near);
    return result;
}

int options_parse_duration(const char *text, int64_t *out_ms)
{
    char seconds[32];
    int64_t ns = 0;
    if (text[0] && text[strspn(text, "0123456789")] == '\0') {
        int len = snprintf(seconds, sizeof(seconds), "%ss", text);
        if (len < 0 || (size_t)len >= sizeof(seconds))
            return -STATUS_INVALID_ARGUMENT;
        text = seconds;
    }
    if (schema_duration_parse(text, strlen(text), &ns) < 0)
        return -STATUS_INVALID_ARGUMENT;
    *out_ms = ns / NS_PER_MS;
    return *out_ms >= 1 && *out_ms <= DURATION_MAX_MS ? 0 : -STATUS_INVALID_ARGUMENT;
}

static int parse_number(const char *text, int64_t *out)
{
    int64_t number = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        number = number * 10 + (*p - '0');
        if (number > NUMBER_MAX)
            return -STATUS_INVALID_ARGUMENT;
    }
    if (p == text || *p)
        return -STATUS_INVALID_ARGUMENT;
    *out = number;
    return 0;
}

static int take_value(const struct parse *parse, enum option_id id, const char *text)
{
    const struct option_row *row = &rows[id];
    struct option_value *value = &parse->options->values[id];
    /* Most likely a script's variable that is not set: --root "" must not mean some directory. */
    if (!text[0])
        return error_set(parse->error, STATUS_INVALID_ARGUMENT, "--%s wants a value: --%s %s",
            row->name, row->name, row->value_name);
    value->given = true;
    value->text = text;
    if (row->kind == OPTION_KIND_NUMBER && parse_number(text, &value->number) < 0)
        return error_set(parse->error, STATUS_INVALID_ARGUMENT,
            "--%s wants a number from 0 to %d, not \"%s\"", row->name, NUMBER_MAX, text);
    if (row->kind == OPTION_KIND_DURATION && options_parse_duration(text, &value->number) < 0)
        return error_set(parse->error, STATUS_INVALID_ARGUMENT,
            "--%s wants a time from 1ms to 1h such as 500ms, 30s or 5m, not \"%s\"", row->name,
            text);
    return 0;
}

static void take_flag(const struct parse *parse, enum option_id id, bool on)
{
    parse->options->values[id] = (struct option_value){.given = true, .on = on};
}

/* The next argument as the value of `id`. */
static int take_following(struct parse *parse, enum option_id id)
{
    if (parse->at + 1 >= parse->argc)
        return error_set(parse->error, STATUS_INVALID_ARGUMENT, "--%s wants a value: --%s %s",
            rows[id].name, rows[id].name, rows[id].value_name);
    return take_value(parse, id, parse->argv[++parse->at]);
}

static int parse_long(struct parse *parse, const char *name)
{
    const char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    bool on = true;
    enum option_id id = find_long(parse, name, len, &on);
    if (id == OPTION_END)
        return refuse_unknown(parse, name, len);
    if (takes_value(rows[id].kind))
        return equals ? take_value(parse, id, equals + 1) : take_following(parse, id);
    if (equals)
        return error_set(
            parse->error, STATUS_INVALID_ARGUMENT, "--%.*s takes no value", (int)len, name);
    take_flag(parse, id, on);
    return 0;
}

/* "-q", "-fq", "-n50", "-n 50". */
static int parse_letters(struct parse *parse, const char *letters)
{
    for (const char *p = letters; *p; p++) {
        enum option_id id = find_letter(parse, *p);
        if (id == OPTION_END)
            return error_set(parse->error, STATUS_INVALID_ARGUMENT, "unknown option -%c", *p);
        if (takes_value(rows[id].kind))
            return p[1] ? take_value(parse, id, p + 1) : take_following(parse, id);
        take_flag(parse, id, true);
    }
    return 0;
}

static int take_operand(const struct parse *parse, const char *text)
{
    struct options *options = parse->options;
    if (options->n_operands == OPTIONS_OPERANDS_MAX)
        return error_set(
            parse->error, STATUS_INVALID_ARGUMENT, "more than %d names", OPTIONS_OPERANDS_MAX);
    options->operands[options->n_operands++] = text;
    return 0;
}

int options_parse(const enum option_id *accepted, int argc, char *const *argv, int *out_used,
    struct options *options, struct error *error)
{
    struct parse parse = {
        .accepted = accepted, .argc = argc, .argv = argv, .options = options, .error = error};
    bool only_operands = false;
    for (; parse.at < argc; parse.at++) {
        const char *word = argv[parse.at];
        bool is_option = !only_operands && word[0] == '-' && word[1];
        if (!is_option && out_used)
            break;
        if (is_option && strcmp(word, "--") == 0) {
            only_operands = true;
            continue;
        }
        int result = 0;
        if (!is_option)
            result = take_operand(&parse, word);
        else if (word[1] == '-')
            result = parse_long(&parse, word + 2);
        else
            result = parse_letters(&parse, word + 1);
        if (result < 0)
            return result;
    }
    if (out_used)
        *out_used = parse.at;
    return 0;
}

static bool look_at_letters(const struct parse *parse, const char *letters, struct option_word *out)
{
    for (const char *p = letters; *p; p++) {
        enum option_id id = find_letter(parse, *p);
        if (id == OPTION_END)
            return false;
        out->id = id;
        if (!takes_value(rows[id].kind))
            continue;
        out->value = p[1] ? p + 1 : NULL;
        out->wants_next = !p[1];
        return true;
    }
    return true;
}

bool options_look(const enum option_id *accepted, const char *word, struct option_word *out)
{
    const struct parse parse = {.accepted = accepted};
    *out = (struct option_word){.id = OPTION_END};
    if (strncmp(word, "--", 2) != 0)
        return look_at_letters(&parse, word + 1, out);
    bool on = true;
    const char *equals = strchr(word, '=');
    const char *name = word + 2;
    out->id = find_long(&parse, name, equals ? (size_t)(equals - name) : strlen(name), &on);
    if (out->id == OPTION_END)
        return false;
    bool has_value = takes_value(rows[out->id].kind);
    out->value = has_value && equals ? equals + 1 : NULL;
    out->wants_next = has_value && !equals;
    return true;
}
