/* What a service is made of: its own copy of its configuration, and what follows from that. Made
 * away from the loop if need be: nothing here knows a running service. */
#ifndef FLOCKS_SUPERVISE_SERVICE_SPEC_H
#define FLOCKS_SUPERVISE_SERVICE_SPEC_H

#include <stddef.h>
#include <stdint.h>

#include "flocks/v1/config.names.h"

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "server/supervise/endpoint.h"
#include "server/supervise/listener.h"
#include "server/supervise/service_machine.h"

enum {
    /* A service's port and extra_ports (the schema's max_items). */
    SERVICE_PORTS_MAX = 9
};

struct service_port {
    struct endpoint endpoint;
    struct listener_cache cache;
};

/* Embedded in struct service, or alone while it waits for the end of a run. Owns all of it. */
struct service_spec {
    flocks_service_config *config;
    struct service_policy policy;
    struct service_port *ports; /* most services have one or none */
    size_t n_ports;
    /* Room for the slots of config->after; whoever gives it to a service fills them. */
    uint32_t *after;
};

/* Copies `config`, which is complete (every default is in). INVALID_ARGUMENT: a host that is no
 * address. `out` is empty after a failure. */
NODISCARD int service_spec_init(struct service_spec *out, const char *name,
    const flocks_service_config *config, struct error *error);
/* Leaves it empty; an empty one is accepted. */
void service_spec_deinit(struct service_spec *spec);

bool service_spec_has_exec_probe(const struct service_spec *spec);

#endif
