#include "client/lib/resume.h"

#include <stdlib.h>
#include <string.h>

static const ProtobufCFieldDescriptor *text_field(
    const ProtobufCMessageDescriptor *descriptor, const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(descriptor, name);
    bool is_text = field != NULL && field->type == PROTOBUF_C_TYPE_STRING &&
                   field->label != PROTOBUF_C_LABEL_REPEATED;
    return is_text ? field : NULL;
}

const ProtobufCMessage *resume_clone(const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(len + 1);
    if (bytes == NULL)
        return NULL;
    (void)protobuf_c_message_pack(message, bytes);
    const ProtobufCMessage *clone =
        protobuf_c_message_unpack(message->descriptor, NULL, len, bytes);
    free(bytes);
    return clone;
}

bool resume_init(
    struct resume *resume, const struct rpc_method *method, const ProtobufCMessage *request)
{
    *resume = (struct resume){.method = method, .request = resume_clone(request)};
    return resume->request != NULL;
}

void resume_deinit(struct resume *resume)
{
    free(resume->behind);
    free(resume->token);
    rpc_message_free(resume->request);
    *resume = (struct resume){.method = resume->method};
}

void resume_note(struct resume *resume, const ProtobufCMessage *message)
{
    resume->has_seen = true;
    resume->is_lost = true;
    const ProtobufCFieldDescriptor *field = text_field(message->descriptor, "token");
    if (field == NULL)
        return;
    const char *token = NULL;
    memcpy(&token, (const char *)message + field->offset, sizeof token);
    if (token == NULL || token[0] == '\0')
        return;
    char *copy = strdup(token);
    if (copy == NULL)
        return;
    free(resume->token);
    resume->token = copy;
    resume->is_lost = false;
}

bool resume_is_possible(const struct resume *resume)
{
    if (!resume->method->idempotent)
        return false;
    return !resume->has_seen ||
           (!resume->is_lost && text_field(resume->request->descriptor, "after") != NULL);
}

const ProtobufCMessage *resume_request(struct resume *resume)
{
    if (!resume->has_seen)
        return resume->request;
    const ProtobufCMessageDescriptor *descriptor = resume->request->descriptor;
    const ProtobufCFieldDescriptor *after = text_field(descriptor, "after");
    if (resume->behind == NULL)
        resume->behind = malloc(descriptor->sizeof_message);
    if (resume->behind == NULL || after == NULL)
        return NULL;
    memcpy(resume->behind, resume->request, descriptor->sizeof_message);
    const char *token = resume->token;
    memcpy((char *)resume->behind + after->offset, &token, sizeof token);
    if ((after->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        /* protobuf-c keeps a oneof's case as the number of its field. */
        uint32_t number = after->id;
        memcpy((char *)resume->behind + after->quantifier_offset, &number, sizeof number);
    }
    return resume->behind;
}
