#include "common/rpc/reflection_answer.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/utf8.h"
#include "common/rpc/engine.h"
#include "common/rpc/index.h"
#include "crpc_grpc.index.h"

/* The cases of a request. */
enum {
    BY_FILENAME = REFLECTION_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_FILE_BY_FILENAME,
    BY_SYMBOL = REFLECTION_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL,
    BY_EXTENSION = REFLECTION_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION,
    NUMBERS = REFLECTION_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE,
    SERVICES = REFLECTION_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_LIST_SERVICES,
    /* Tags and lengths of one response around its descriptors, and of each of these. */
    RESPONSE_EXTRA_BYTES = 128,
    DESCRIPTOR_EXTRA_BYTES = 8,
    /* Of a name within an error's text. */
    SHOWN_BYTES = 200
};

/* ---- questions ---- */

static const char *text_of(const reflection_server_reflection_request *request)
{
    switch ((int)request->message_request_case) {
    case BY_FILENAME:
        return request->file_by_filename;
    case BY_SYMBOL:
        return request->file_containing_symbol;
    case BY_EXTENSION:
        return request->file_containing_extension->containing_type;
    case NUMBERS:
        return request->all_extension_numbers_of_type;
    case SERVICES:
        return request->list_services;
    default:
        return "";
    }
}

struct reflection_question *reflection_question_new(
    const reflection_server_reflection_request *request, bool *out_is_too_long)
{
    const char *text = text_of(request);
    size_t text_size = strlen(text) + 1;
    size_t host_size = strlen(request->host) + 1;
    *out_is_too_long = text_size + host_size > RPC_REFLECTION_REQUEST_BYTES_MAX;
    if (*out_is_too_long)
        return NULL;
    struct reflection_question *question = malloc(sizeof *question + text_size + host_size);
    if (question == NULL)
        return NULL;
    *question = (struct reflection_question){
        .kind = (int)request->message_request_case,
        .host = memcpy(question->texts, request->host, host_size),
        .text = memcpy(question->texts + host_size, text, text_size),
    };
    if (question->kind == BY_EXTENSION)
        question->number = request->file_containing_extension->extension_number;
    return question;
}

/* ---- indexes ---- */

const struct crpc_index *reflection_index_at(const struct crpc_index *const *indexes, size_t which)
{
    for (size_t i = 0; i < which; i++) {
        if (indexes[i] == NULL)
            return NULL;
    }
    return indexes[which] != NULL ? indexes[which] : &crpc_grpc_index;
}

size_t reflection_count_files(const struct crpc_index *const *indexes)
{
    const struct crpc_index *index;
    size_t n = 0;
    for (size_t i = 0; (index = reflection_index_at(indexes, i)) != NULL; i++)
        n += index->n_files;
    return n;
}

/* The file of `index` that the question is about. */
static bool find_in(const struct crpc_index *index, const struct reflection_question *question,
    const struct crpc_index_file **out)
{
    const struct crpc_index_symbol *symbol;
    const struct crpc_index_extension *extension;
    size_t n = 0;
    *out = NULL;
    switch (question->kind) {
    case BY_FILENAME:
        *out = crpc_index_file(index, question->text);
        break;
    case BY_SYMBOL:
        symbol = crpc_index_symbol(index, question->text);
        if (symbol != NULL)
            *out = &index->files[symbol->file];
        break;
    default:
        extension = crpc_index_extensions(index, question->text, question->number, &n);
        if (extension != NULL && extension->number == question->number)
            *out = &index->files[extension->file];
        break;
    }
    return *out != NULL;
}

/* ---- responses ---- */

/* All parts of one. */
struct parts {
    reflection_server_reflection_response response;
    reflection_server_reflection_request request;
    reflection_extension_request extension;
    reflection_error_response error;
    reflection_file_descriptor_response files;
    reflection_extension_number_response numbers;
    reflection_list_service_response services;
};

/* With the question as it was asked. */
static void begin_response(struct parts *parts, const struct reflection_question *question)
{
    parts->response =
        (reflection_server_reflection_response)REFLECTION_SERVER_REFLECTION_RESPONSE_INIT;
    parts->request =
        (reflection_server_reflection_request)REFLECTION_SERVER_REFLECTION_REQUEST_INIT;
    parts->response.valid_host = question->host;
    parts->response.original_request = &parts->request;
    parts->request.host = question->host;
    parts->request.message_request_case =
        (Grpc__Reflection__V1__ServerReflectionRequest__MessageRequestCase)question->kind;
    if (question->kind == BY_EXTENSION) {
        parts->extension = (reflection_extension_request)REFLECTION_EXTENSION_REQUEST_INIT;
        parts->extension.containing_type = question->text;
        parts->extension.extension_number = question->number;
        parts->request.file_containing_extension = &parts->extension;
    } else if (question->kind != 0) {
        /* The others are texts, in one place. */
        parts->request.file_by_filename = question->text;
    }
}

static void put_error(struct parts *parts, enum rpc_code code, const char *text)
{
    parts->error = (reflection_error_response)REFLECTION_ERROR_RESPONSE_INIT;
    parts->error.error_code = (int32_t)code;
    if (text != NULL)
        parts->error.error_message = text;
    parts->response.message_response_case =
        REFLECTION_SERVER_REFLECTION_RESPONSE_MESSAGE_RESPONSE_ERROR_RESPONSE;
    parts->response.error_response = &parts->error;
}

/* "no WHAT is called NAME" */
static void put_missing(struct parts *parts, struct arena *arena, const char *what,
    const struct reflection_question *question)
{
    int len = (int)utf8_cut(question->text, strlen(question->text), SHOWN_BYTES);
    put_error(parts, RPC_NOT_FOUND,
        arena_printf(arena, "no %s of this server is called %.*s", what, len, question->text));
}

/* ---- files ---- */

/* protobuf-c's member is not const, although packing only reads. */
static ProtobufCBinaryData bytes_of(
    const struct crpc_index *index, const struct crpc_index_file *file)
{
    const union {
        const uint8_t *given;
        uint8_t *read;
    } data = {.given = index->descriptors + file->descriptor};
    return (ProtobufCBinaryData){.data = data.read, .len = file->descriptor_len};
}

/* The file, then what it imports and this stream has not seen. Of more than one message can hold,
 * the imports that came too late are left out: a client asks for those by their names. */
static void put_files(const struct reflection_answering *answering, struct parts *parts,
    const struct crpc_index *index, const struct crpc_index_file *file, bool *was_sent)
{
    size_t room =
        RPC_MESSAGE_BYTES_MAX - RESPONSE_EXTRA_BYTES - 2 * RPC_REFLECTION_REQUEST_BYTES_MAX;
    parts->files = (reflection_file_descriptor_response)REFLECTION_FILE_DESCRIPTOR_RESPONSE_INIT;
    parts->files.file_descriptor_proto =
        arena_calloc(answering->arena, file->n_closure, sizeof(ProtobufCBinaryData));
    for (uint32_t i = 0; parts->files.file_descriptor_proto != NULL && i < file->n_closure; i++) {
        uint32_t place = index->closures[file->closure + i];
        ProtobufCBinaryData bytes = bytes_of(index, &index->files[place]);
        bool is_asked_for = i == 0;
        bool fits = bytes.len + DESCRIPTOR_EXTRA_BYTES <= room;
        if (is_asked_for && !fits) {
            put_error(parts, RPC_RESOURCE_EXHAUSTED, "its descriptor is larger than one message");
            return;
        }
        if (!fits || (was_sent[place] && !is_asked_for))
            continue;
        room -= bytes.len + DESCRIPTOR_EXTRA_BYTES;
        was_sent[place] = true;
        parts->files.file_descriptor_proto[parts->files.n_file_descriptor_proto++] = bytes;
    }
    parts->response.message_response_case =
        REFLECTION_SERVER_REFLECTION_RESPONSE_MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
    parts->response.file_descriptor_response = &parts->files;
}

static const char *name_of(int kind)
{
    if (kind == BY_FILENAME)
        return "file";
    return kind == BY_SYMBOL ? "symbol" : "extended message with that number";
}

static void answer_files(const struct reflection_answering *answering, struct parts *parts,
    const struct reflection_question *question)
{
    bool *was_sent = answering->was_sent;
    const struct crpc_index *index;
    for (size_t i = 0; (index = reflection_index_at(answering->indexes, i)) != NULL; i++) {
        const struct crpc_index_file *file;
        if (find_in(index, question, &file)) {
            put_files(answering, parts, index, file, was_sent);
            return;
        }
        was_sent += index->n_files;
    }
    put_missing(parts, answering->arena, name_of(question->kind), question);
}

/* ---- extension numbers ---- */

static bool is_message(const struct crpc_index *index, const char *name)
{
    const struct crpc_index_symbol *symbol = crpc_index_symbol(index, name);
    return symbol != NULL && symbol->kind == CRPC_SYMBOL_MESSAGE;
}

/* Of all indexes: an extension may be known to another one than its message is. */
static void answer_numbers(const struct reflection_answering *answering, struct parts *parts,
    const struct reflection_question *question)
{
    const struct crpc_index *index;
    const struct crpc_index_extension *extensions;
    size_t n = 0;
    size_t n_all = 0;
    bool is_known = false;
    for (size_t i = 0; (index = reflection_index_at(answering->indexes, i)) != NULL; i++) {
        is_known = is_known || is_message(index, question->text);
        (void)crpc_index_extensions(index, question->text, INT32_MIN, &n);
        n_all += n;
    }
    if (!is_known) {
        put_missing(parts, answering->arena, "message", question);
        return;
    }
    parts->numbers =
        (reflection_extension_number_response)REFLECTION_EXTENSION_NUMBER_RESPONSE_INIT;
    parts->numbers.base_type_name = question->text;
    parts->numbers.extension_number = arena_calloc(answering->arena, n_all + 1, sizeof(int32_t));
    for (size_t i = 0; (index = reflection_index_at(answering->indexes, i)) != NULL; i++) {
        extensions = crpc_index_extensions(index, question->text, INT32_MIN, &n);
        for (size_t k = 0; parts->numbers.extension_number != NULL && k < n; k++)
            parts->numbers.extension_number[parts->numbers.n_extension_number++] =
                extensions[k].number;
    }
    parts->response.message_response_case =
        REFLECTION_SERVER_REFLECTION_RESPONSE_MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE;
    parts->response.all_extension_numbers_response = &parts->numbers;
}

/* ---- services ---- */

static void answer_services(const struct reflection_answering *answering, struct parts *parts)
{
    size_t n = answering->server->n_services;
    reflection_service_response *services =
        arena_calloc(answering->arena, n + 1, sizeof(reflection_service_response));
    parts->services = (reflection_list_service_response)REFLECTION_LIST_SERVICE_RESPONSE_INIT;
    parts->services.service =
        arena_calloc(answering->arena, n + 1, sizeof(reflection_service_response *));
    if (services == NULL || parts->services.service == NULL)
        return;
    for (size_t i = 0; i < n; i++) {
        services[i] = (reflection_service_response)REFLECTION_SERVICE_RESPONSE_INIT;
        services[i].name = answering->server->services[i]->name;
        parts->services.service[parts->services.n_service++] = &services[i];
    }
    parts->response.message_response_case =
        REFLECTION_SERVER_REFLECTION_RESPONSE_MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
    parts->response.list_services_response = &parts->services;
}

/* ---- all of it ---- */

const reflection_server_reflection_response *reflection_answer(
    const struct reflection_answering *answering, const struct reflection_question *question)
{
    struct parts *parts = arena_calloc(answering->arena, 1, sizeof *parts);
    if (parts == NULL)
        return NULL;
    begin_response(parts, question);
    switch (question->kind) {
    case BY_FILENAME:
    case BY_SYMBOL:
    case BY_EXTENSION:
        answer_files(answering, parts, question);
        break;
    case NUMBERS:
        answer_numbers(answering, parts, question);
        break;
    case SERVICES:
        answer_services(answering, parts);
        break;
    default:
        put_error(parts, RPC_UNIMPLEMENTED, "the request asks for nothing that this server knows");
        break;
    }
    return arena_is_exhausted(answering->arena) ? NULL : &parts->response;
}
