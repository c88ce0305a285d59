#include "common/schema/json_place.h"

#include <string.h>

#include "common/schema/schema_path.h"

/* One search. It descends only where the path leads, so its depth is the path's. */
struct search {
    const char *text;
    size_t len;
    size_t at;
    const char *wanted;
    bool of_name;
    struct schema_path path; /* of the value at `at` */
    size_t best;             /* the innermost place so far */
    bool is_found;
};

static bool is_at(const struct search *search, char c)
{
    return search->at < search->len && search->text[search->at] == c;
}

static void skip_blanks(struct search *search)
{
    while (search->at < search->len && strchr(" \t\r\n", search->text[search->at]) != NULL)
        search->at++;
}

static bool skip_one(struct search *search, char c)
{
    skip_blanks(search);
    if (!is_at(search, c))
        return false;
    search->at++;
    skip_blanks(search);
    return true;
}

/* From its first quote to behind its last. */
static void skip_string(struct search *search)
{
    for (search->at++; search->at < search->len && search->text[search->at] != '"'; search->at++)
        if (search->text[search->at] == '\\')
            search->at++;
    search->at++;
}

/* Without recursion: what others wrote may be nested deeply. */
static void skip_value(struct search *search)
{
    size_t depth = 0;
    for (; search->at < search->len; search->at++) {
        char c = search->text[search->at];
        if (depth == 0 && strchr(",]}", c) != NULL)
            return;
        if (c == '{' || c == '[')
            depth++;
        if (c == '}' || c == ']')
            depth--;
        if (c == '"') {
            skip_string(search);
            search->at--;
        }
    }
}

/* Whether the wanted place is this one, or lies within. */
static bool leads_there(const struct search *search)
{
    const char *wanted = search->wanted;
    size_t len = search->path.len;
    return strncmp(wanted, search->path.text, len) == 0 &&
           (len == 0 || strchr(".[", wanted[len]) != NULL);
}

static void visit(struct search *search, size_t name_at);

static void visit_members(struct search *search)
{
    search->at++;
    skip_blanks(search);
    while (!search->is_found && is_at(search, '"')) {
        size_t name_at = search->at;
        skip_string(search);
        size_t name_len = search->at <= search->len ? search->at - name_at - 2 : 0;
        if (!skip_one(search, ':'))
            return;
        size_t before = schema_path_push(&search->path, search->text + name_at + 1, name_len);
        visit(search, name_at);
        schema_path_pop(&search->path, before);
        if (!skip_one(search, ','))
            break;
    }
    (void)skip_one(search, '}');
}

static void visit_items(struct search *search)
{
    search->at++;
    skip_blanks(search);
    for (size_t i = 0; !search->is_found && search->at < search->len && !is_at(search, ']'); i++) {
        size_t before = schema_path_push_index(&search->path, i);
        visit(search, search->at);
        schema_path_pop(&search->path, before);
        if (!skip_one(search, ','))
            break;
    }
    (void)skip_one(search, ']');
}

/* The value at `at`, to behind it. */
static void visit(struct search *search, size_t name_at)
{
    if (!leads_there(search)) {
        skip_value(search);
        return;
    }
    search->is_found = search->wanted[search->path.len] == '\0';
    search->best = search->is_found && search->of_name ? name_at : search->at;
    if (search->is_found)
        return;
    if (is_at(search, '{'))
        visit_members(search);
    else if (is_at(search, '['))
        visit_items(search);
    else
        skip_value(search);
}

size_t json_place_find(const char *text, size_t text_len, const char *path, bool of_name)
{
    struct search search = {.text = text, .len = text_len, .wanted = path, .of_name = of_name};
    skip_blanks(&search);
    search.best = search.at;
    visit(&search, search.at);
    return search.best < text_len ? search.best : 0;
}
