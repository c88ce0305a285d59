#include "server/supervise/service_spec.h"

#include <errno.h>
#include <stdlib.h>

/* ---- policy ---- */

static int64_t duration_ms(const Google__Protobuf__Duration *duration, int64_t absent)
{
    return duration != NULL ? duration->seconds * 1000 + duration->nanos / 1000000 : absent;
}

static enum service_restart restart_policy(const flocks_restart_config *config)
{
    switch (flocks_restart_policy_from((int)config->policy)) {
    case FLOCKS_RESTART_POLICY_ON_FAILURE:
        return SERVICE_RESTART_ON_FAILURE;
    case FLOCKS_RESTART_POLICY_NEVER:
        return SERVICE_RESTART_NEVER;
    case FLOCKS_RESTART_POLICY_UNSPECIFIED:
    case FLOCKS_RESTART_POLICY_ALWAYS:
        return SERVICE_RESTART_ALWAYS;
    }
    return SERVICE_RESTART_ALWAYS;
}

/* A message that is absent was left out on purpose only where the schema says so; zeros stand for
 * the rest. */
static struct service_policy make_policy(const flocks_service_config *config)
{
    struct service_policy policy = {.restart = SERVICE_RESTART_ALWAYS,
        .start_timeout_ms = SERVICE_START_TIMEOUT_MS,
        .stop_grace_ms = config->stop != NULL ? duration_ms(config->stop->grace, 0) : 0};

    if (config->restart != NULL) {
        policy.restart = restart_policy(config->restart);
        policy.give_up_after = config->restart->give_up_after;
        policy.delay_ms = duration_ms(config->restart->delay, 0);
        policy.max_delay_ms = duration_ms(config->restart->max_delay, 0);
        policy.stable_after_ms = duration_ms(config->restart->stable_after, 0);
    }
    if (config->prepare != NULL && config->prepare->n_command > 0) {
        policy.has_prepare = true;
        policy.prepare_timeout_ms = duration_ms(config->prepare->timeout, CLOCK_NEVER);
    }
    return policy;
}

/* ---- ports ---- */

static int add_port(struct service_spec *spec, const char *name, uint32_t port, struct error *error)
{
    int result;

    if (port == 0 || spec->n_ports == SERVICE_PORTS_MAX)
        return 0;
    result = endpoint_resolve(
        spec->config->host, (uint16_t)port, &spec->ports[spec->n_ports].endpoint, error);
    if (result < 0)
        return error_add_context(error, result, "service %s", name);
    spec->n_ports++;
    return 0;
}

static int add_ports(struct service_spec *spec, const char *name, struct error *error)
{
    const flocks_service_config *config = spec->config;
    int result;

    if (config->port == 0 && config->n_extra_ports == 0)
        return 0;
    spec->ports = calloc(config->n_extra_ports + 1, sizeof *spec->ports);
    if (spec->ports == NULL)
        return error_set_errno(error, ENOMEM, "make the ports of %s", name);
    result = add_port(spec, name, config->port, error);
    for (size_t i = 0; i < config->n_extra_ports && result == 0; i++)
        result = add_port(spec, name, config->extra_ports[i], error);
    return result;
}

/* ---- the whole ---- */

static flocks_service_config *copy(const flocks_service_config *config)
{
    size_t len = protobuf_c_message_get_packed_size(&config->base);
    uint8_t *packed = malloc(len + 1);
    flocks_service_config *made;

    if (packed == NULL)
        return NULL;
    (void)protobuf_c_message_pack(&config->base, packed);
    made = (flocks_service_config *)protobuf_c_message_unpack(
        config->base.descriptor, NULL, len, packed);
    free(packed);
    return made;
}

int service_spec_init(struct service_spec *out, const char *name,
    const flocks_service_config *config, struct error *error)
{
    int result;

    *out = (struct service_spec){.config = copy(config)};
    if (out->config == NULL)
        return error_set_errno(error, ENOMEM, "make service %s", name);
    out->policy = make_policy(out->config);
    out->after = calloc(out->config->n_after + 1, sizeof *out->after);
    if (out->after == NULL)
        result = error_set_errno(error, ENOMEM, "make service %s", name);
    else
        result = add_ports(out, name, error);
    if (result < 0)
        service_spec_deinit(out);
    return result;
}

void service_spec_deinit(struct service_spec *spec)
{
    if (spec->config != NULL)
        protobuf_c_message_free_unpacked(&spec->config->base, NULL);
    free(spec->ports);
    free(spec->after);
    *spec = (struct service_spec){.config = NULL};
}

bool service_spec_has_exec_probe(const struct service_spec *spec)
{
    const flocks_probes *probes = spec->config->probes;
    const flocks_probe *const roles[] = {probes != NULL ? probes->startup : NULL,
        probes != NULL ? probes->ready : NULL, probes != NULL ? probes->alive : NULL};

    for (size_t i = 0; i < ARRAY_LENGTH(roles); i++) {
        if (roles[i] != NULL && roles[i]->check_case == FLOCKS__V1__PROBE__CHECK_EXEC)
            return true;
    }
    return false;
}
