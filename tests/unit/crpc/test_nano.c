/* The nanopb flavour: dispatch on one side, converters
 * on the other, all in the test's own memory. */
#include <string.h>

#include "crpc/tiny/v1/tiny.nano.h"
#include "unit.h"

static enum rpc_code echo(
    void *self, const tiny_echo_request *request, tiny_echo_response *response)
{
    int *calls = self;
    ++*calls;
    memcpy(response->text, request->text, sizeof(response->text));
    for (size_t i = 0; i < request->numbers_count; i++)
        response->sum += request->numbers[i];
    if (request->which_extra == TINY_ECHO_REQUEST_EXTRA_COLOUR)
        response->colour = request->extra.colour;
    return RPC_OK;
}

static enum rpc_code later(
    void *self, const tiny_later_request *request, tiny_later_response *response)
{
    (void)self;
    (void)request;
    (void)response;
    return CRPC_NANO_LATER;
}

/* One call from typed request to typed response. */
struct exchange {
    struct tiny_handlers handlers;
    struct tiny_scratch scratch;
    uint8_t payload[TINY_REQUEST_MAX];
    size_t payload_len;
    uint8_t answer[TINY_RESPONSE_MAX];
    size_t answer_len;
    int calls;
};

static enum rpc_code run(struct exchange *exchange, const char *method, size_t answer_cap)
{
    return tiny_dispatch(&exchange->handlers, &exchange->calls, &exchange->scratch, method,
        strlen(method), exchange->payload, exchange->payload_len, exchange->answer, answer_cap,
        &exchange->answer_len);
}

static struct exchange with_echo(const tiny_echo_request *request)
{
    struct exchange exchange = {.handlers = {.echo = echo}};
    assert_true(tiny_echo_encode_request(
        request, exchange.payload, sizeof(exchange.payload), &exchange.payload_len));
    return exchange;
}

static void test_dispatch_runs_the_handler_and_encodes_its_response(void **state)
{
    (void)state;
    const tiny_echo_request request = {.text = "seven77",
        .numbers_count = 4,
        .numbers = {1, 2, 3, UINT32_C(4000000000)},
        .which_extra = TINY_ECHO_REQUEST_EXTRA_COLOUR,
        .extra.colour = TINY_COLOUR_RED};
    struct exchange exchange = with_echo(&request);
    /* What an earlier call left behind must not be seen. */
    memset(&exchange.scratch, 0xff, sizeof(exchange.scratch));
    assert_int_equal(run(&exchange, TINY_ECHO_METHOD, sizeof(exchange.answer)), RPC_OK);
    assert_int_equal(exchange.calls, 1);
    tiny_echo_response response;
    memset(&response, 0xff, sizeof(response));
    assert_true(tiny_echo_decode_response(exchange.answer, exchange.answer_len, &response));
    assert_string_equal(response.text, "seven77");
    assert_int_equal(response.sum, UINT32_C(4000000006));
    assert_int_equal(response.colour, TINY_COLOUR_RED);
}

static void test_dispatch_method_unknown_or_not_handled_is_unimplemented(void **state)
{
    (void)state;
    struct exchange exchange = {.answer_len = 99};
    assert_int_equal(run(&exchange, "Ech", sizeof(exchange.answer)), RPC_UNIMPLEMENTED);
    assert_int_equal(run(&exchange, "EchoEcho", sizeof(exchange.answer)), RPC_UNIMPLEMENTED);
    assert_int_equal(run(&exchange, TINY_ECHO_METHOD, sizeof(exchange.answer)), RPC_UNIMPLEMENTED);
    assert_int_equal(exchange.answer_len, 0);
}

static void test_dispatch_payload_that_is_no_such_message_is_refused(void **state)
{
    (void)state;
    const tiny_echo_request request = {.text = "a"};
    struct exchange exchange = with_echo(&request);
    exchange.payload_len--;
    assert_int_equal(
        run(&exchange, TINY_ECHO_METHOD, sizeof(exchange.answer)), RPC_INVALID_ARGUMENT);
    assert_int_equal(exchange.calls, 0);
}

static void test_dispatch_text_longer_than_its_field_is_refused(void **state)
{
    (void)state;
    static const uint8_t EIGHT[] = {1 << 3 | 2, 8, 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a'};
    struct exchange exchange = {.handlers = {.echo = echo}, .payload_len = sizeof(EIGHT)};
    memcpy(exchange.payload, EIGHT, sizeof(EIGHT));
    assert_int_equal(
        run(&exchange, TINY_ECHO_METHOD, sizeof(exchange.answer)), RPC_INVALID_ARGUMENT);
}

static void test_dispatch_answer_without_room_is_internal(void **state)
{
    (void)state;
    const tiny_echo_request request = {.text = "abc"};
    struct exchange exchange = with_echo(&request);
    assert_int_equal(run(&exchange, TINY_ECHO_METHOD, 2), RPC_INTERNAL);
    assert_int_equal(exchange.answer_len, 0);
}

static void test_dispatch_later_is_handed_on(void **state)
{
    (void)state;
    struct exchange exchange = {.handlers = {.later = later}};
    assert_int_equal(run(&exchange, TINY_LATER_METHOD, sizeof(exchange.answer)), CRPC_NANO_LATER);
    assert_int_equal(exchange.answer_len, 0);
}

static void test_sizes_hold_the_largest_message(void **state)
{
    (void)state;
    assert_int_equal(TINY_REQUEST_MAX, crpc_tiny_v1_EchoRequest_size);
    assert_int_equal(TINY_RESPONSE_MAX, crpc_tiny_v1_EchoResponse_size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dispatch_runs_the_handler_and_encodes_its_response),
        cmocka_unit_test(test_dispatch_method_unknown_or_not_handled_is_unimplemented),
        cmocka_unit_test(test_dispatch_payload_that_is_no_such_message_is_refused),
        cmocka_unit_test(test_dispatch_text_longer_than_its_field_is_refused),
        cmocka_unit_test(test_dispatch_answer_without_room_is_internal),
        cmocka_unit_test(test_dispatch_later_is_handed_on),
        cmocka_unit_test(test_sizes_hold_the_largest_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
