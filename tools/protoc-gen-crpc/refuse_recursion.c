/* Messages that contain themselves. protobuf-c parses without a bound on depth: 10,000 levels, 34
 * KB on the wire, overflow an 8 MiB stack. A schema without cycles is bounded by its own depth. */
#include "common/rpc/include/crpc/limits.h"
#include "pool.h"
#include "refuse.h"

/* The way from the root to the message being visited. */
struct visit {
    const struct model_message *message;
    const struct visit *from;
    const struct model_field *through; /* a field of from->message */
};

/* One pass of depth-first search over all messages. */
struct search {
    const struct model *model;
    struct text *mistakes;
    /* How many levels each message has, itself the first, by index of model->messages; 0: not
     * known yet. */
    size_t *levels;
    const struct model_field *told; /* the last one that a cycle in an import was told of */
};

static bool is_on_the_way(const struct visit *visit, const struct model_message *message)
{
    for (; visit != NULL; visit = visit->from) {
        if (visit->message == message)
            return true;
    }
    return false;
}

/* "a.Node -> a.List -> a.Node" */
static const char *describe(
    const struct search *search, const struct visit *visit, const struct model_message *again)
{
    const char *way = again->full_name;
    for (; visit != NULL; visit = visit->from) {
        way = pool_printf(search->model->pool, "%s -> %s", visit->message->full_name, way);
        if (visit->message == again)
            break;
    }
    return way;
}

/* What the field puts into its message; of a map, its value. NULL: no message. */
static const struct model_message *content_of(const struct model_field *field)
{
    if (!field->is_map)
        return field->message;
    const struct model_message *entry = field->message;
    return entry->fields[entry->n_fields - 1].message;
}

/* Told where the cycle closes; when that is in an import, at the field through which the files that
 * are generated reach it, for only those are the reader's to change. */
static void refuse_cycle(struct search *search, const struct visit *here,
    const struct model_field *field, const struct model_message *again)
{
    const char *cycle = describe(search, here, again);
    const struct visit *at = here;
    while (!at->message->file->is_generated) {
        field = at->through;
        at = at->from;
    }
    bool is_import = at != here;
    if (is_import && field == search->told)
        return;
    search->told = field;
    refuse_at(search->mistakes, at->message->file, &field->path,
        "%s.%s: %s%s contains itself, which protobuf-c parses without a bound on depth; refer "
        "to it by a key or a number%s",
        at->message->full_name, field->name, is_import ? "of a type in which " : "", cycle,
        is_import ? ", or carry it as bytes" : "");
}

/* Also bounds this program's own stack: beyond, nothing is visited. */
static void refuse_depth(struct search *search, const struct model_message *root)
{
    refuse_at(search->mistakes, root->file, &root->path,
        "%s: nests messages deeper than the %d levels that a server of crpc reads; flatten it",
        root->full_name, RPC_NESTING_MAX);
}

/* Answers how many levels the message has; `level` is its own. */
static size_t visit_message(struct search *search, const struct model_message *message,
    const struct visit *from, const struct model_field *through, size_t level)
{
    const struct visit here = {.message = message, .from = from, .through = through};
    size_t *levels = &search->levels[message - search->model->messages];
    size_t deepest = 0;
    for (size_t i = 0; i < message->n_fields && level <= RPC_NESTING_MAX; i++) {
        const struct model_field *field = &message->fields[i];
        const struct model_message *content = content_of(field);
        if (content == NULL)
            continue;
        size_t below = search->levels[content - search->model->messages];
        if (is_on_the_way(&here, content))
            refuse_cycle(search, &here, field, content);
        else if (below == 0)
            below = visit_message(search, content, &here, field, level + 1);
        /* An entry of a map is a message around its value. */
        below += field->is_map ? 1 : 0;
        if (below > deepest)
            deepest = below;
    }
    *levels = deepest + 1;
    return *levels;
}

void refuse_recursion(const struct model *model, struct text *mistakes)
{
    struct search search = {
        .model = model,
        .mistakes = mistakes,
        .levels = pool_calloc(model->pool, model->n_messages, sizeof(*search.levels)),
    };
    for (size_t i = 0; i < model->n_messages; i++) {
        const struct model_message *message = &model->messages[i];
        bool is_root =
            message->file->is_generated && !message->is_map_entry && search.levels[i] == 0;
        if (is_root && visit_message(&search, message, NULL, NULL, 1) > RPC_NESTING_MAX)
            refuse_depth(&search, message);
    }
}
