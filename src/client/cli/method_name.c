#include "client/cli/method_name.h"

#include <string.h>

#include "common/schema/nearest.h"

/* A name taken apart; both borrowed from it. */
struct parts {
    const char *service; /* not terminated */
    size_t service_len;  /* 0: none was given */
    const char *method;
};

static struct parts take_apart(const char *name)
{
    if (name[0] == '/')
        name++;
    const char *slash = strrchr(name, '/');
    const char *end = slash ? slash : strrchr(name, '.');
    if (!end)
        return (struct parts){.method = name};
    return (struct parts){.service = name, .service_len = (size_t)(end - name), .method = end + 1};
}

const char *method_name_short(const char *full_name)
{
    const char *dot = strrchr(full_name, '.');
    return dot ? dot + 1 : full_name;
}

bool method_name_is_end(const char *full_name, const char *name, size_t len)
{
    size_t full_len = strlen(full_name);
    if (len > full_len || memcmp(full_name + full_len - len, name, len) != 0)
        return false;
    return len == full_len || full_name[full_len - len - 1] == '.';
}

static bool is_meant(const struct crpc_service_info *service, const struct parts *parts)
{
    return parts->service_len == 0 ||
           method_name_is_end(service->full_name, parts->service, parts->service_len);
}

/* NULL: none is near. */
static void hint_at(const char *near, struct error *error)
{
    if (near)
        error_set_hint(error, "did you mean %s?", near);
    else
        error_set_hint(error, "`flocks describe` lists them");
}

static int refuse_service(
    const struct crpc_catalog *catalog, const struct parts *parts, struct error *error)
{
    int result = error_set(error, STATUS_INVALID_ARGUMENT, "there is no service \"%.*s\"",
        (int)parts->service_len, parts->service);
    struct nearest nearest;
    nearest_init(&nearest, parts->service, parts->service_len);
    for (size_t i = 0; i < catalog->n_services; i++) {
        nearest_offer(&nearest, catalog->services[i].full_name);
        nearest_offer(&nearest, method_name_short(catalog->services[i].full_name));
    }
    hint_at(nearest_result(&nearest), error);
    return result;
}

static int refuse_method(
    const struct crpc_catalog *catalog, const struct parts *parts, struct error *error)
{
    struct nearest nearest;
    bool has_service = false;
    nearest_init(&nearest, parts->method, strlen(parts->method));
    for (size_t i = 0; i < catalog->n_services; i++) {
        const struct crpc_service_info *service = &catalog->services[i];
        if (!is_meant(service, parts))
            continue;
        has_service = true;
        for (size_t k = 0; k < service->n_methods; k++)
            nearest_offer(&nearest, service->methods[k].name);
    }
    if (!has_service)
        return refuse_service(catalog, parts, error);
    int result =
        error_set(error, STATUS_INVALID_ARGUMENT, "there is no method \"%s\"", parts->method);
    hint_at(nearest_result(&nearest), error);
    return result;
}

static int refuse_second(
    const struct rpc_method *first, const struct rpc_method *second, struct error *error)
{
    int result = error_set(error, STATUS_INVALID_ARGUMENT, "\"%s\" is a method of %s and of %s",
        first->name, first->service, second->service);
    error_set_hint(error, "say which: %s/%s", first->service, first->name);
    return result;
}

int method_name_find(const struct crpc_catalog *catalog, const char *name,
    const struct rpc_method **out, struct error *error)
{
    const struct parts parts = take_apart(name);
    const struct rpc_method *found = NULL;
    for (size_t i = 0; i < catalog->n_services; i++) {
        const struct crpc_service_info *service = &catalog->services[i];
        for (size_t k = 0; is_meant(service, &parts) && k < service->n_methods; k++) {
            const struct rpc_method *method = &service->methods[k];
            if (strcmp(method->name, parts.method) != 0)
                continue;
            if (found)
                return refuse_second(found, method, error);
            found = method;
        }
    }
    if (!found)
        return refuse_method(catalog, &parts, error);
    *out = found;
    return 0;
}
