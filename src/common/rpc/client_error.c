/* Errors of client calls, owned by the caller. */
#include "common/rpc/client_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char NO_MEMORY_TEXT[] = "no memory to tell what went wrong";
static struct rpc_error no_memory = {.code = RPC_RESOURCE_EXHAUSTED, .message = NO_MEMORY_TEXT};

void rpc_error_free(struct rpc_error *error)
{
    if (error == NULL || error == &no_memory)
        return;
    for (size_t i = 0; i < error->n_details; i++) {
        free(error->details[i].type_name);
        free(error->details[i].value);
    }
    free(error->details);
    free(error->message);
    free(error);
}

enum rpc_result rpc_error_hand_over(struct rpc_error *error, struct rpc_error **out)
{
    if (out == NULL)
        rpc_error_free(error);
    else
        *out = error;
    return RPC_ERROR;
}

static char *copy_text(struct rpc_bytes bytes)
{
    char *text = malloc(bytes.len + 1);
    if (text == NULL)
        return NULL;
    if (bytes.len > 0)
        memcpy(text, bytes.data, bytes.len);
    text[bytes.len] = '\0';
    return text;
}

/* "type.googleapis.com/flocks.v1.ErrorDetail": the name is what follows the last slash. */
static struct rpc_bytes type_name_of(struct rpc_bytes url)
{
    for (size_t i = url.len; i > 0; i--) {
        if (url.data[i - 1] == '/')
            return (struct rpc_bytes){.data = url.data + i, .len = url.len - i};
    }
    return url;
}

static bool copy_details(struct rpc_error *error, const struct rpc_status *status)
{
    if (status->n_details == 0)
        return true;
    error->details = calloc(status->n_details, sizeof *error->details);
    if (error->details == NULL)
        return false;
    error->n_details = status->n_details;
    for (size_t i = 0; i < status->n_details; i++) {
        struct rpc_error_detail *detail = &error->details[i];
        detail->type_name = copy_text(type_name_of(status->details[i].key));
        detail->value = (uint8_t *)copy_text(status->details[i].value);
        detail->value_len = status->details[i].value.len;
        if (detail->type_name == NULL || detail->value == NULL)
            return false;
    }
    return true;
}

enum rpc_result rpc_error_from_status(
    struct rpc_error **out, const struct rpc_status *status, int system_error)
{
    struct rpc_error *error = calloc(1, sizeof *error);
    if (error == NULL)
        return rpc_error_hand_over(&no_memory, out);
    error->code = status->code;
    error->from_server = !status->is_local;
    error->system_error = system_error;
    error->message = copy_text(status->message);
    if (error->message == NULL || !copy_details(error, status)) {
        rpc_error_free(error);
        return rpc_error_hand_over(&no_memory, out);
    }
    return rpc_error_hand_over(error, out);
}

enum rpc_result rpc_error_make(
    struct rpc_error **out, enum rpc_code code, int system_error, const char *format, ...)
{
    char text[RPC_STATUS_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const struct rpc_status status = {
        .code = code, .is_local = true, .message = RPC_BYTES_OF_TEXT(text)};
    return rpc_error_from_status(out, &status, system_error);
}

enum rpc_result rpc_error_copy(const struct rpc_error *error, struct rpc_error **out)
{
    struct rpc_envelope_pair details[RPC_METADATA_PAIRS_MAX];
    for (size_t i = 0; i < error->n_details; i++) {
        const struct rpc_error_detail *detail = &error->details[i];
        details[i] = (struct rpc_envelope_pair){
            .key = RPC_BYTES_OF_TEXT(detail->type_name),
            .value = {.data = detail->value, .len = detail->value_len},
        };
    }
    const struct rpc_status status = {
        .code = error->code,
        .is_local = !error->from_server,
        .message = RPC_BYTES_OF_TEXT(error->message),
        .details = details,
        .n_details = error->n_details,
    };
    return rpc_error_from_status(out, &status, error->system_error);
}
