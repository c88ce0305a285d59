/* Errors of the library: crpc's, with the daemon's typed detail unpacked. */
#include "client/lib/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flocks/v1/types.names.h"

#include "crpc/limits.h"

/* The text lies behind it. */
struct failure {
    struct flocks_error error;
    flocks_error_detail *detail;
    char message[];
};

static struct failure *no_memory(void)
{
    static struct failure failure = {
        .error = {.code = RPC_RESOURCE_EXHAUSTED, .message = "no memory to tell what went wrong"}};
    return &failure;
}

void flocks_error_free(struct flocks_error *error)
{
    if (error == NULL || error == &no_memory()->error)
        return;
    struct failure *failure = CONTAINER_OF(error, struct failure, error);
    if (failure->detail != NULL)
        flocks__v1__error_detail__free_unpacked(failure->detail, NULL);
    free(failure);
}

enum rpc_result failure_hand_over(struct flocks_error *error, struct flocks_error **out)
{
    if (out == NULL)
        flocks_error_free(error);
    else
        *out = error;
    return RPC_ERROR;
}

static struct failure *new_failure(enum rpc_code code, const char *text)
{
    size_t size = strlen(text) + 1;
    struct failure *failure = malloc(sizeof *failure + size);
    if (failure == NULL)
        return no_memory();
    *failure = (struct failure){.error = {.code = code, .message = failure->message}};
    memcpy(failure->message, text, size);
    return failure;
}

enum rpc_result failure_make(struct flocks_error **out, enum rpc_code code, const char *format, ...)
{
    char text[RPC_STATUS_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return failure_hand_over(&new_failure(code, text)->error, out);
}

enum rpc_result failure_of_system(
    struct flocks_error **out, enum rpc_code code, int error_number, const char *format, ...)
{
    char text[RPC_STATUS_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct flocks_error *error = NULL;
    (void)failure_make(&error, code, "%s: %s", text, strerrordesc_np(error_number));
    if (error != &no_memory()->error)
        error->system_error = error_number;
    return failure_hand_over(error, out);
}

static flocks_error_detail *unpack_detail(const struct rpc_error *error)
{
    const ProtobufCMessageDescriptor *descriptor = &flocks__v1__error_detail__descriptor;
    for (size_t i = 0; i < error->n_details; i++) {
        const struct rpc_error_detail *detail = &error->details[i];
        if (strcmp(detail->type_name, descriptor->name) == 0)
            return flocks__v1__error_detail__unpack(NULL, detail->value_len, detail->value);
    }
    return NULL;
}

enum rpc_result failure_of(const struct rpc_error *error, struct flocks_error **out)
{
    struct failure *failure = new_failure(error->code, error->message);
    if (failure != no_memory()) {
        failure->error.is_from_daemon = error->from_server;
        failure->error.system_error = error->system_error;
        failure->detail = unpack_detail(error);
        failure->error.detail = failure->detail;
    }
    return failure_hand_over(&failure->error, out);
}

enum rpc_result failure_from(struct rpc_error *error, struct flocks_error **out)
{
    enum rpc_result result = failure_of(error, out);
    rpc_error_free(error);
    return result;
}

enum rpc_result failure_not_running(const char *socket, struct flocks_error **out)
{
    struct flocks_error *error = NULL;
    (void)failure_make(&error, RPC_UNAVAILABLE, "no flocks daemon runs at %s", socket);
    if (error != &no_memory()->error)
        error->is_not_running = true;
    return failure_hand_over(error, out);
}

enum rpc_result failure_late(
    const struct rpc_method *method, const char *last, struct flocks_error **out)
{
    return failure_make(out, RPC_DEADLINE_EXCEEDED, "calling %s: no answer until the deadline%s%s",
        method->name, last == NULL ? "" : "; last: ", last == NULL ? "" : last);
}

static flocks_error_detail *copy_detail(const flocks_error_detail *detail)
{
    size_t len = protobuf_c_message_get_packed_size(&detail->base);
    uint8_t *bytes = malloc(len + 1);
    if (bytes == NULL)
        return NULL;
    (void)protobuf_c_message_pack(&detail->base, bytes);
    flocks_error_detail *copy = flocks__v1__error_detail__unpack(NULL, len, bytes);
    free(bytes);
    return copy;
}

enum rpc_result failure_copy(const struct flocks_error *error, struct flocks_error **out)
{
    struct failure *failure = new_failure(error->code, error->message);
    if (failure != no_memory()) {
        failure->error = *error;
        failure->error.message = failure->message;
        failure->detail = error->detail == NULL ? NULL : copy_detail(error->detail);
        failure->error.detail = failure->detail;
    }
    return failure_hand_over(&failure->error, out);
}
