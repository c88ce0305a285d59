/* One check of a service as its configuration describes it: the configuration's messages become a
 * probe's request. */
#include <stdio.h>

#include "server/supervise/service.h"
#include "server/supervise/supervisor_private.h"

enum {
    /* Entries of a check's maps (the schema's max_items). */
    CHECK_PAIRS_MAX = 16
};

static size_t pairs_expect(const flocks_http_check *check, struct probe_pair *out)
{
    size_t n = check->n_expect < CHECK_PAIRS_MAX ? check->n_expect : CHECK_PAIRS_MAX;

    for (size_t i = 0; i < n; i++)
        out[i] =
            (struct probe_pair){.name = check->expect[i]->key, .value = check->expect[i]->value};
    return n;
}

static size_t pairs_headers(const flocks_http_check *check, struct probe_pair *out)
{
    size_t n = check->n_headers < CHECK_PAIRS_MAX ? check->n_headers : CHECK_PAIRS_MAX;

    for (size_t i = 0; i < n; i++)
        out[i] =
            (struct probe_pair){.name = check->headers[i]->key, .value = check->headers[i]->value};
    return n;
}

/* Port 0 of a check: the service's own, at the address that was seen to reach it. */
static int probe_address(
    const struct service *service, uint32_t port, union endpoint_address *out, struct error *error)
{
    struct endpoint endpoint;
    int result;

    if (port == 0 && service->n_ports > 0) {
        *out = service->address.any.sa_family != 0 ? service->address
                                                   : service->ports[0].endpoint.addresses[0];
        return 0;
    }
    if (port == 0)
        return error_set(error, STATUS_FAILED_PRECONDITION, "the service has no port to probe");
    result = endpoint_resolve(service->config->host, (uint16_t)port, &endpoint, error);
    if (result == 0)
        *out = endpoint.addresses[0];
    return result;
}

static void on_probe_done(void *context, const struct probe_result *result)
{
    struct service *service = context;
    const struct probe_result copy = *result;

    probe_close(&service->watch.running);
    service_watch_result(service, &copy, clock_monotonic_ms());
}

/* Whom `done` of a check by HTTP is told, and what is expected besides what the check says (NULL:
 * nothing). */
struct asker {
    const struct probe_pair *expected;
    probe_done_fn done;
    void *context;
    struct probe **out;
};

static int start_http(struct service *service, const flocks_http_check *check,
    struct probe_request *request, const struct asker *asker, struct error *error)
{
    struct probe_pair expect[CHECK_PAIRS_MAX + 1];
    struct probe_pair headers[CHECK_PAIRS_MAX];
    struct probe_http http = {.path = check->path,
        .status = check->status,
        .expect = expect,
        .expect_count = pairs_expect(check, expect),
        .headers = headers,
        .header_count = pairs_headers(check, headers)};
    int result = probe_address(service, check->port, &request->address, error);

    if (asker->expected != NULL)
        expect[http.expect_count++] = *asker->expected;
    request->http = &http;
    if (result == 0)
        result = probe_start(
            service->owner->loop, request, asker->done, asker->context, asker->out, error);
    request->http = NULL;
    return result;
}

int service_check_ask(struct service *service, const flocks_http_check *check,
    const struct probe_pair *expected, probe_done_fn done, void *context, struct probe **out,
    struct error *error)
{
    const struct asker asker = {.expected = expected, .done = done, .context = context, .out = out};
    struct probe_request request = {.timeout_ms = SERVICE_ASK_TIMEOUT_MS};

    return start_http(service, check, &request, &asker, error);
}

static int start_tcp(struct service *service, const flocks_tcp_check *check,
    struct probe_request *request, struct error *error)
{
    int result = probe_address(service, check->port, &request->address, error);

    if (result < 0)
        return result;
    return probe_start(
        service->owner->loop, request, on_probe_done, service, &service->watch.running, error);
}

void service_check_start(struct service *service, const flocks_probe *probe, int64_t now)
{
    struct probe_request request = {.timeout_ms = service->watch.schedule.policy.timeout_ms};
    const struct asker asker = {
        .done = on_probe_done, .context = service, .out = &service->watch.running};
    struct probe_result failed = {.passed = false};
    struct error error = ERROR_INIT;
    int result = 0;

    switch (probe->check_case) {
    case FLOCKS__V1__PROBE__CHECK_HTTP:
        result = start_http(service, probe->http, &request, &asker, &error);
        break;
    case FLOCKS__V1__PROBE__CHECK_TCP:
        result = start_tcp(service, probe->tcp, &request, &error);
        break;
    case FLOCKS__V1__PROBE__CHECK_EXEC:
        service_task_start(service, probe->exec, request.timeout_ms, now);
        return;
    case FLOCKS__V1__PROBE__CHECK__NOT_SET:
    default:
        return;
    }
    if (result == 0)
        return;
    failed.is_void = result == -STATUS_RESOURCE_EXHAUSTED;
    (void)snprintf(failed.message, sizeof failed.message, "%.250s", error.text);
    service_watch_result(service, &failed, now);
}

void service_check_cancel(struct service *service)
{
    probe_close(&service->watch.running);
    service_task_end(service);
}
