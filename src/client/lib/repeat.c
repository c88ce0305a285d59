#include "client/lib/repeat.h"

#include <string.h>

#include "flocks/client.h"

static bool has_request_id(const ProtobufCMessage *request)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(request->descriptor, "request_id");
    if (field == NULL || field->type != PROTOBUF_C_TYPE_STRING)
        return false;
    const char *text = NULL;
    memcpy(&text, (const char *)request + field->offset, sizeof text);
    return text != NULL && text[0] != '\0';
}

bool repeat_is_harmless(const struct rpc_method *method, const ProtobufCMessage *request)
{
    return method->idempotent || has_request_id(request);
}

int64_t repeat_longer_wait_ms(int64_t wait_ms)
{
    if (wait_ms == 0)
        return FLOCKS_CLIENT_FIRST_RETRY_MS;
    return wait_ms * 2 > FLOCKS_CLIENT_MAX_RETRY_MS ? FLOCKS_CLIENT_MAX_RETRY_MS : wait_ms * 2;
}
