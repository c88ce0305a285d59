/* `after` names services that exist, and never leads in a circle. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/draft.h"
#include "common/schema/nearest.h"

enum mark { NEW, ON_THE_WAY, DONE };

enum {
    /* Longest circle that is written out in full. */
    SHOWN_MAX = 300
};

struct walk {
    struct draft *draft;
    const flocks_config *message;
    unsigned char *marks;
    /* Services from the start of the walk to where it is. */
    size_t *way;
    size_t way_len;
};

static int compare_name(const void *name, const void *entry)
{
    const flocks_config_services_entry *const *service = entry;
    return strcmp(name, (*service)->key);
}

/* Services are sorted by name. Their number: none of that name. */
static size_t find_index(const flocks_config *message, const char *name)
{
    flocks_config_services_entry **found = bsearch(name, message->services, message->n_services,
        sizeof(flocks_config_services_entry *), compare_name);
    return found != NULL ? (size_t)(found - message->services) : message->n_services;
}

static const char *path_of(struct walk *walk, size_t service, size_t after)
{
    char rest[64];
    (void)snprintf(rest, sizeof(rest), "after[%zu]", after);
    return draft_service_path(walk->draft, walk->message->services[service]->key, rest);
}

static void refuse_unknown(struct walk *walk, size_t service, size_t after)
{
    const flocks_config *message = walk->message;
    const char *name = message->services[service]->value->after[after];
    struct mistake *mistake =
        draft_refuse(walk->draft, path_of(walk, service, after), "there is no service '%s'", name);
    struct nearest nearest;
    nearest_init(&nearest, name, strlen(name));
    for (size_t i = 0; i < message->n_services; i++)
        nearest_offer(&nearest, message->services[i]->key);
    if (nearest_result(&nearest) != NULL)
        mistake_set_hint(
            walk->draft->mistakes, mistake, "did you mean %s?", nearest_result(&nearest));
}

/* "a after b after a": the way from the service met again to its end. */
static void refuse_circle(struct walk *walk, size_t service, size_t after, size_t met)
{
    char circle[SHOWN_MAX] = "";
    size_t first = 0;
    while (walk->way[first] != met)
        first++;
    size_t len = 0;
    for (size_t i = first; i < walk->way_len; i++) {
        const char *name = walk->message->services[walk->way[i]]->key;
        int added = snprintf(circle + len, sizeof(circle) - len, "%s after ", name);
        if (added < 0 || len + (size_t)added >= sizeof(circle))
            break;
        len += (size_t)added;
    }
    struct mistake *mistake = draft_refuse(walk->draft, path_of(walk, service, after),
        "the order is a circle: %s%s", circle, walk->message->services[met]->key);
    mistake_set_hint(walk->draft->mistakes, mistake, "remove one of these `after`");
}

/* Depth first; as deep as the longest chain of services, whose number the schema bounds. */
static void follow(struct walk *walk, size_t service)
{
    const flocks_service_config *config = walk->message->services[service]->value;
    walk->marks[service] = ON_THE_WAY;
    walk->way[walk->way_len++] = service;
    for (size_t i = 0; i < config->n_after; i++) {
        size_t next = find_index(walk->message, config->after[i]);
        if (next == walk->message->n_services)
            refuse_unknown(walk, service, i);
        else if (walk->marks[next] == ON_THE_WAY)
            refuse_circle(walk, service, i, next);
        else if (walk->marks[next] == NEW)
            follow(walk, next);
    }
    walk->way_len--;
    walk->marks[service] = DONE;
}

void check_order(struct draft *draft)
{
    const flocks_config *message = draft->message;
    struct walk walk = {.draft = draft, .message = message};
    walk.marks = arena_calloc(draft->arena, message->n_services, sizeof(*walk.marks));
    walk.way = arena_calloc(draft->arena, message->n_services, sizeof(*walk.way));
    if (walk.marks == NULL || walk.way == NULL) {
        draft->is_out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < message->n_services; i++) {
        if (walk.marks[i] == NEW)
            follow(&walk, i);
    }
}
