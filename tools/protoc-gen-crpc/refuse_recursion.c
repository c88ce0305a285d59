/* Messages that contain themselves. protobuf-c parses without a bound on depth: 10,000 levels, 34
 * KB on the wire, overflow an 8 MiB stack. A schema without cycles is bounded by its own depth. */

#include "pool.h"
#include "refuse.h"

/* The way from the root to the message being visited. */
struct visit {
    const struct model_message *message;
    const struct visit *from;
};

/* One pass of depth-first search over all messages. */
struct search {
    const struct model *model;
    struct text *mistakes;
    bool *is_done; /* by index of model->messages */
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

static void visit_message(
    struct search *search, const struct model_message *message, const struct visit *from)
{
    const struct visit here = {.message = message, .from = from};
    for (size_t i = 0; i < message->n_fields; i++) {
        const struct model_field *field = &message->fields[i];
        const struct model_message *content = content_of(field);
        if (content == NULL)
            continue;
        if (is_on_the_way(&here, content))
            refuse_at(search->mistakes, message->file, &field->path,
                "%s.%s: %s contains itself, which protobuf-c parses without a bound on depth; "
                "refer to it by a key or a number",
                message->full_name, field->name, describe(search, &here, content));
        else if (!search->is_done[content - search->model->messages])
            visit_message(search, content, &here);
    }
    search->is_done[message - search->model->messages] = true;
}

void refuse_recursion(const struct model *model, struct text *mistakes)
{
    struct search search = {
        .model = model,
        .mistakes = mistakes,
        .is_done = pool_calloc(model->pool, model->n_messages, sizeof(bool)),
    };
    for (size_t i = 0; i < model->n_messages; i++) {
        const struct model_message *message = &model->messages[i];
        bool is_root = message->file->is_generated && !message->is_map_entry && !search.is_done[i];
        if (is_root)
            visit_message(&search, message, NULL);
    }
}
