/* grpc.reflection over ttrpc, in memory: what is asked, what is answered, what is held meanwhile.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/rpc/index.h"
#include "crpc/indexed/v1/indexed.index.h"
#include "crpc/limits.h"
#include "crpc/reflection.h"
#include "grpc/reflection/v1/reflection.info.h"
#include "grpc/reflection/v1/reflection.methods.h"
#include "grpc/reflection/v1/reflection.names.h"
#include "unit.h"
#include "wire_pair.h"

typedef reflection_server_reflection_request request_type;
typedef reflection_server_reflection_response response_type;
typedef Grpc__Reflection__V1__ServerReflectionRequest__MessageRequestCase request_case;

enum {
    BY_FILENAME = REFLECTION_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_FILE_BY_FILENAME,
    BY_SYMBOL = REFLECTION_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL,
    BY_EXTENSION = REFLECTION_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION,
    NUMBERS = REFLECTION_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE,
    SERVICES = REFLECTION_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_LIST_SERVICES,
    RESPONSES_MAX = 64
};

/* Three files of which an answer cannot have all, and one of which it cannot have any. */
enum { PART_BYTES = 1536 * 1024, GIANT_BYTES = RPC_MESSAGE_BYTES_MAX };
static uint8_t large_descriptors[3 * PART_BYTES + GIANT_BYTES];
static const char large_names[] = "a\0b\0c\0giant";
static const uint32_t large_closures[] = {0, 1, 2, 1, 2, 3};
static const struct crpc_index_file large_files[] = {{0, 0, PART_BYTES, 0, 3},
    {2, PART_BYTES, PART_BYTES, 3, 1}, {4, 2 * PART_BYTES, PART_BYTES, 4, 1},
    {6, 3 * PART_BYTES, GIANT_BYTES, 5, 1}};
static const struct crpc_index large_index = {.names = large_names,
    .descriptors = large_descriptors,
    .closures = large_closures,
    .n_files = 4,
    .files = large_files};

static const struct crpc_index *const indexes[] = {&large_index, &indexed_index, NULL};

/* ---- scaffolding ---- */

static struct wire_pair pair;
static struct wire_end end;
static struct rpc_session_call *call;
static response_type *responses[RESPONSES_MAX];
static size_t n_responses;

static void keep_response(void *data, const struct rpc_session_call *of, struct rpc_bytes message)
{
    (void)data;
    (void)of;
    assert_true(n_responses < RESPONSES_MAX);
    responses[n_responses] = (response_type *)protobuf_c_message_unpack(
        reflection_server_reflection_response_info.descriptor, NULL, message.len, message.data);
    assert_non_null(responses[n_responses]);
    n_responses++;
}

static void forget_responses(void)
{
    for (size_t i = 0; i < n_responses; i++)
        protobuf_c_message_free_unpacked(&responses[i]->base, NULL);
    n_responses = 0;
}

static int set_up(void **state)
{
    static struct rpc_service services[2];
    (void)state;
    services[0] = rpc_reflection_service(RPC_REFLECTION_V1, indexes);
    services[1] = rpc_reflection_service(RPC_REFLECTION_V1ALPHA, indexes);
    wire_pair_open_services(&pair, services, 2);
    pair.on_message = keep_response;
    call = wire_pair_call(&pair, services[0].methods, 0, NULL, 0, &end);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wire_pair_close(&pair);
    forget_responses();
    return 0;
}

static void send_request(struct rpc_session_call *to, const request_type *request)
{
    size_t len = protobuf_c_message_get_packed_size(&request->base);
    uint8_t *bytes = malloc(len + 1);
    assert_non_null(bytes);
    (void)protobuf_c_message_pack(&request->base, bytes);
    wire_pair_send(to, bytes, len);
    free(bytes);
}

static void ask_text(int kind, const char *text)
{
    request_type request = REFLECTION_SERVER_REFLECTION_REQUEST_INIT;
    request.host = "here";
    request.message_request_case = (request_case)kind;
    request.file_by_filename = text;
    send_request(call, &request);
}

static void ask_extension(const char *type, int32_t number)
{
    request_type request = REFLECTION_SERVER_REFLECTION_REQUEST_INIT;
    reflection_extension_request extension = REFLECTION_EXTENSION_REQUEST_INIT;
    request.message_request_case = (request_case)BY_EXTENSION;
    request.file_containing_extension = &extension;
    extension.containing_type = type;
    extension.extension_number = number;
    send_request(call, &request);
}

/* The one answer. */
static const response_type *answer(void)
{
    forget_responses();
    wire_pair_move(&pair);
    assert_int_equal(n_responses, 1);
    return responses[0];
}

static const response_type *answer_text(int kind, const char *text)
{
    ask_text(kind, text);
    return answer();
}

static void assert_is_error(const response_type *response, enum rpc_code code)
{
    assert_int_equal(response->message_response_case,
        REFLECTION_SERVER_REFLECTION_RESPONSE_MESSAGE_RESPONSE_ERROR_RESPONSE);
    assert_int_equal(response->error_response->error_code, code);
    assert_true(strlen(response->error_response->error_message) > 0);
    assert_false(end.has_ended);
}

static const reflection_file_descriptor_response *files_of(const response_type *response)
{
    assert_int_equal(response->message_response_case,
        REFLECTION_SERVER_REFLECTION_RESPONSE_MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE);
    return response->file_descriptor_response;
}

/* `names` separated by blanks, in this order. */
static void assert_has_files(
    const response_type *response, const struct crpc_index *index, const char *names)
{
    const reflection_file_descriptor_response *files = files_of(response);
    char all[256];
    size_t n = 0;
    (void)snprintf(all, sizeof all, "%s", names);
    char *rest = NULL;
    for (char *name = strtok_r(all, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest)) {
        const struct crpc_index_file *file = crpc_index_file(index, name);
        assert_non_null(file);
        assert_true(n < files->n_file_descriptor_proto);
        assert_int_equal(files->file_descriptor_proto[n].len, file->descriptor_len);
        assert_memory_equal(files->file_descriptor_proto[n].data,
            index->descriptors + file->descriptor, file->descriptor_len);
        n++;
    }
    assert_int_equal(files->n_file_descriptor_proto, n);
}

/* ---- the five requests ---- */

#define BASE "crpc/indexed/v1/base.proto"
#define LINK "crpc/indexed/v1/link.proto"
#define INDEXED "crpc/indexed/v1/indexed.proto"

static void test_file_by_name_comes_with_all_it_imports(void **state)
{
    (void)state;
    const response_type *response = answer_text(BY_FILENAME, INDEXED);
    assert_has_files(response, &indexed_index, INDEXED " " BASE " " LINK);
    assert_string_equal(response->valid_host, "here");
    assert_string_equal(response->original_request->host, "here");
    assert_int_equal(response->original_request->message_request_case, BY_FILENAME);
    assert_string_equal(response->original_request->file_by_filename, INDEXED);
}

static void test_what_was_sent_is_not_sent_again_but_what_is_asked_for_is(void **state)
{
    (void)state;
    assert_has_files(answer_text(BY_FILENAME, LINK), &indexed_index, LINK " " BASE);
    assert_has_files(answer_text(BY_FILENAME, INDEXED), &indexed_index, INDEXED);
    assert_has_files(answer_text(BY_FILENAME, INDEXED), &indexed_index, INDEXED);
    assert_has_files(answer_text(BY_SYMBOL, "crpc.indexed.v1.Base"), &indexed_index, BASE);
}

static void test_symbols_of_every_kind_lead_to_their_file(void **state)
{
    static const char *const SYMBOLS[] = {"crpc.indexed.v1.Finder", "crpc.indexed.v1.Finder.Find",
        "crpc.indexed.v1.Outer", "crpc.indexed.v1.Outer.Inner", "crpc.indexed.v1.Outer.field",
        "crpc.indexed.v1.Outer.choice", "crpc.indexed.v1.Outer.Inner.Size",
        "crpc.indexed.v1.Outer.Inner.LARGE", "crpc.indexed.v1.late"};
    (void)state;
    assert_has_files(answer_text(BY_FILENAME, LINK), &indexed_index, LINK " " BASE);
    for (size_t i = 0; i < sizeof SYMBOLS / sizeof SYMBOLS[0]; i++)
        assert_has_files(answer_text(BY_SYMBOL, SYMBOLS[i]), &indexed_index, INDEXED);
}

static void test_extension_leads_to_the_file_that_declares_it(void **state)
{
    (void)state;
    ask_extension("crpc.indexed.v1.Base", 1000);
    const response_type *response = answer();
    assert_has_files(response, &indexed_index, INDEXED " " BASE " " LINK);
    assert_int_equal(response->original_request->message_request_case, BY_EXTENSION);
    assert_string_equal(response->original_request->file_containing_extension->containing_type,
        "crpc.indexed.v1.Base");
    assert_int_equal(response->original_request->file_containing_extension->extension_number, 1000);
    ask_extension("crpc.indexed.v1.Base", 101);
    assert_is_error(answer(), RPC_NOT_FOUND);
    ask_extension("crpc.indexed.v1.Base", INT32_MAX);
    assert_is_error(answer(), RPC_NOT_FOUND);
    ask_extension("crpc.indexed.v1.Nobody", 1000);
    assert_is_error(answer(), RPC_NOT_FOUND);
}

static void test_extension_numbers_are_those_of_the_type(void **state)
{
    (void)state;
    const response_type *response = answer_text(NUMBERS, "crpc.indexed.v1.Base");
    assert_int_equal(response->message_response_case,
        REFLECTION_SERVER_REFLECTION_RESPONSE_MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE);
    const reflection_extension_number_response *numbers = response->all_extension_numbers_response;
    assert_string_equal(numbers->base_type_name, "crpc.indexed.v1.Base");
    assert_int_equal(numbers->n_extension_number, 3);
    assert_int_equal(numbers->extension_number[0], 100);
    assert_int_equal(numbers->extension_number[2], 1000);
    response = answer_text(NUMBERS, "crpc.indexed.v1.Outer");
    assert_int_equal(response->all_extension_numbers_response->n_extension_number, 0);
    assert_is_error(answer_text(NUMBERS, "crpc.indexed.v1.Finder"), RPC_NOT_FOUND);
    assert_is_error(answer_text(NUMBERS, "crpc.indexed.v1.Nobody"), RPC_NOT_FOUND);
}

static void test_services_are_those_that_the_server_has(void **state)
{
    (void)state;
    const response_type *response = answer_text(SERVICES, "");
    assert_int_equal(response->message_response_case,
        REFLECTION_SERVER_REFLECTION_RESPONSE_MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE);
    const reflection_list_service_response *list = response->list_services_response;
    assert_int_equal(list->n_service, 2);
    assert_string_equal(list->service[0]->name, "grpc.reflection.v1.ServerReflection");
    assert_string_equal(list->service[1]->name, "grpc.reflection.v1alpha.ServerReflection");
}

static void test_own_services_are_known_without_an_index(void **state)
{
    static const char *const SYMBOLS[] = {"grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo",
        "grpc.health.v1.Health.Watch", "grpc.health.v1.HealthCheckResponse.SERVING"};
    (void)state;
    for (size_t i = 0; i < sizeof SYMBOLS / sizeof SYMBOLS[0]; i++)
        assert_int_equal(files_of(answer_text(BY_SYMBOL, SYMBOLS[i]))->n_file_descriptor_proto, 1);
}

static void test_unknown_names_are_not_found_and_the_stream_goes_on(void **state)
{
    (void)state;
    assert_is_error(answer_text(BY_FILENAME, "crpc/indexed/v1/nobody.proto"), RPC_NOT_FOUND);
    assert_is_error(answer_text(BY_FILENAME, ""), RPC_NOT_FOUND);
    assert_is_error(answer_text(BY_SYMBOL, "crpc.indexed.v1"), RPC_NOT_FOUND);
    assert_is_error(answer_text(BY_SYMBOL, ".crpc.indexed.v1.Base"), RPC_NOT_FOUND);
    assert_has_files(answer_text(BY_FILENAME, BASE), &indexed_index, BASE);
}

static void test_request_for_nothing_is_unimplemented(void **state)
{
    (void)state;
    request_type request = REFLECTION_SERVER_REFLECTION_REQUEST_INIT;
    send_request(call, &request);
    assert_is_error(answer(), RPC_UNIMPLEMENTED);
    /* A request of a later version: field 99. */
    wire_pair_send(call, "\x9a\x06\x01x", 4);
    assert_is_error(answer(), RPC_UNIMPLEMENTED);
}

/* ---- v1alpha ---- */

static void test_v1alpha_speaks_the_same_bytes(void **state)
{
    (void)state;
    const struct rpc_service alpha = rpc_reflection_service(RPC_REFLECTION_V1ALPHA, indexes);
    assert_string_equal(alpha.name, "grpc.reflection.v1alpha.ServerReflection");
    assert_string_equal(alpha.methods->name, "ServerReflectionInfo");
    wire_pair_move(&pair);
    struct wire_end other;
    struct rpc_session_call *first = call;
    call = wire_pair_call(&pair, alpha.methods, 0, NULL, 0, &other);
    assert_has_files(answer_text(BY_SYMBOL, "crpc.indexed.v1.Base"), &indexed_index, BASE);
    call = first;
}

/* ---- bounds ---- */

static void test_answer_leaves_out_imports_that_do_not_fit(void **state)
{
    (void)state;
    assert_has_files(answer_text(BY_FILENAME, "a"), &large_index, "a b");
    assert_has_files(answer_text(BY_FILENAME, "c"), &large_index, "c");
    assert_is_error(answer_text(BY_FILENAME, "giant"), RPC_RESOURCE_EXHAUSTED);
}

static void test_request_to_the_limit_is_answered_and_one_more_byte_ends_the_stream(void **state)
{
    (void)state;
    /* With the host's five bytes and its own NUL. */
    static char name[RPC_REFLECTION_REQUEST_BYTES_MAX];
    memset(name, 'x', sizeof name - 6);
    assert_is_error(answer_text(BY_SYMBOL, name), RPC_NOT_FOUND);
    memset(name, 'x', sizeof name - 5);
    ask_text(BY_SYMBOL, name);
    wire_pair_move(&pair);
    assert_true(end.has_ended);
    assert_int_equal(end.code, RPC_INVALID_ARGUMENT);
}

static void test_requests_ahead_of_their_answers_are_answered_in_order(void **state)
{
    (void)state;
    for (int i = 0; i <= RPC_INBOUND_MESSAGES_MAX; i++)
        ask_text(BY_SYMBOL, i % 2 == 0 ? "crpc.indexed.v1.Base" : "nobody");
    rpc_session_call_half_close(call);
    wire_pair_move(&pair);
    assert_int_equal(n_responses, RPC_INBOUND_MESSAGES_MAX + 1);
    for (size_t i = 0; i < n_responses; i++)
        assert_string_equal(responses[i]->original_request->file_containing_symbol,
            i % 2 == 0 ? "crpc.indexed.v1.Base" : "nobody");
    assert_true(end.has_ended);
    assert_int_equal(end.code, RPC_OK);
}

static void test_reader_that_does_not_read_holds_the_soft_bound_and_a_message(void **state)
{
    (void)state;
    for (int i = 0; i < RPC_INBOUND_MESSAGES_MAX; i++) {
        ask_text(BY_FILENAME, "b");
        wire_pair_push(&pair);
        size_t len = 0;
        (void)rpc_connection_output(pair.connection, &len);
        assert_true(len < RPC_OUTPUT_SOFT_BYTES + PART_BYTES + 4096);
    }
    assert_true(rpc_connection_held_bytes(pair.connection) <
                RPC_OUTPUT_SOFT_BYTES + 2 * PART_BYTES + (64 << 10));
    wire_pair_move(&pair);
    assert_int_equal(n_responses, RPC_INBOUND_MESSAGES_MAX);
    assert_false(end.has_ended);
}

static void test_half_close_without_a_request_ends_well(void **state)
{
    (void)state;
    rpc_session_call_half_close(call);
    wire_pair_move(&pair);
    assert_int_equal(n_responses, 0);
    assert_true(end.has_ended);
    assert_int_equal(end.code, RPC_OK);
}

/* Under a leak checker: the request that waits goes with its stream. */
static void test_connection_that_goes_with_a_request_waiting_leaves_nothing(void **state)
{
    (void)state;
    ask_text(BY_SYMBOL, "crpc.indexed.v1.Base");
    ask_text(BY_SYMBOL, "crpc.indexed.v1.Base");
    wire_pair_push(&pair);
    assert_int_equal(rpc_server_n_calls(pair.server), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_file_by_name_comes_with_all_it_imports),
        TEST(test_what_was_sent_is_not_sent_again_but_what_is_asked_for_is),
        TEST(test_symbols_of_every_kind_lead_to_their_file),
        TEST(test_extension_leads_to_the_file_that_declares_it),
        TEST(test_extension_numbers_are_those_of_the_type),
        TEST(test_services_are_those_that_the_server_has),
        TEST(test_own_services_are_known_without_an_index),
        TEST(test_unknown_names_are_not_found_and_the_stream_goes_on),
        TEST(test_request_for_nothing_is_unimplemented),
        TEST(test_v1alpha_speaks_the_same_bytes),
        TEST(test_answer_leaves_out_imports_that_do_not_fit),
        TEST(test_request_to_the_limit_is_answered_and_one_more_byte_ends_the_stream),
        TEST(test_requests_ahead_of_their_answers_are_answered_in_order),
        TEST(test_reader_that_does_not_read_holds_the_soft_bound_and_a_message),
        TEST(test_half_close_without_a_request_ends_well),
        TEST(test_connection_that_goes_with_a_request_waiting_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
