/* No two services may want one port of one address. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/address.h"
#include "common/config/draft.h"

/* One port that somebody wants. */
struct claim {
    const char *host;
    uint32_t port;
    const char *owner; /* service, or "daemon" */
    const char *path;
};

struct claims {
    struct claim *items;
    size_t n;
};

static void add(struct draft *draft, struct claims *claims, struct claim claim)
{
    if (claim.path[0] == '\0')
        draft->is_out_of_memory = true;
    else
        claims->items[claims->n++] = claim;
}

static void add_service(
    struct draft *draft, struct claims *claims, const flocks_config_services_entry *entry)
{
    const flocks_service_config *service = entry->value;
    if (service->port != 0)
        add(draft, claims,
            (struct claim){service->host, service->port, entry->key,
                draft_service_path(draft, entry->key, "port")});
    for (size_t i = 0; i < service->n_extra_ports; i++) {
        char rest[64];
        (void)snprintf(rest, sizeof(rest), "extra_ports[%zu]", i);
        add(draft, claims,
            (struct claim){service->host, service->extra_ports[i], entry->key,
                draft_service_path(draft, entry->key, rest)});
    }
}

static size_t count_claims(const flocks_config *message)
{
    size_t n = 1;
    for (size_t i = 0; i < message->n_services; i++)
        n += 1 + message->services[i]->value->n_extra_ports;
    return n;
}

static int compare_claims(const void *a, const void *b)
{
    const struct claim *left = a;
    const struct claim *right = b;
    if (left->port != right->port)
        return left->port < right->port ? -1 : 1;
    return strcmp(left->path, right->path);
}

static void refuse(struct draft *draft, const struct claim *claim, const struct claim *other)
{
    struct mistake_place there = draft_place(draft, other->path);
    char where[32] = "";
    if (there.line > 0)
        (void)snprintf(where, sizeof(where), " (line %" PRIu32 ")", there.line);
    struct mistake *mistake =
        draft_refuse(draft, claim->path, "port %" PRIu32 " of %s is also wanted by %s%s",
            claim->port, claim->host, other->owner, where);
    mistake_set_hint(draft->mistakes, mistake, "give one of them another port");
}

/* Of two that meet, the later one in the file is the mistaken one. */
static void refuse_later(struct draft *draft, const struct claim *a, const struct claim *b)
{
    struct mistake_place first = draft_place(draft, a->path);
    struct mistake_place second = draft_place(draft, b->path);
    bool a_is_later =
        first.line > second.line || (first.line == second.line && first.column > second.column);
    if (a_is_later)
        refuse(draft, a, b);
    else
        refuse(draft, b, a);
}

/* One mistake per claim is enough. */
static void compare_with_earlier(
    struct draft *draft, const struct claims *claims, size_t first, size_t index)
{
    for (size_t i = first; i < index; i++) {
        if (address_overlaps(claims->items[i].host, claims->items[index].host)) {
            refuse_later(draft, &claims->items[i], &claims->items[index]);
            return;
        }
    }
}

void check_ports(struct draft *draft)
{
    const flocks_config *message = draft->message;
    struct claims claims = {0};
    claims.items = arena_calloc(draft->arena, count_claims(message), sizeof(*claims.items));
    if (claims.items == NULL) {
        draft->is_out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < message->n_services; i++) {
        const char *path = draft_service_path(draft, message->services[i]->key, "");
        if (!draft_is_mistaken(draft, path))
            add_service(draft, &claims, message->services[i]);
    }
    if (message->daemon != NULL && message->daemon->tcp)
        add(draft, &claims,
            (struct claim){"127.0.0.1", message->daemon->port, "flocksd itself", "daemon.port"});
    if (claims.n > 1)
        qsort(claims.items, claims.n, sizeof(*claims.items), compare_claims);
    for (size_t first = 0, i = 0; i < claims.n; i++) {
        if (claims.items[i].port != claims.items[first].port)
            first = i;
        compare_with_earlier(draft, &claims, first, i);
    }
}
