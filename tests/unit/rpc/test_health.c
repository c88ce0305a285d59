/* grpc.health.v1 over ttrpc, in memory: what is told, when, and how often. */
#include <stdio.h>
#include <stdlib.h>

#include "crpc/health.h"
#include "crpc/limits.h"
#include "grpc/health/v1/health.methods.h"
#include "grpc/health/v1/health.names.h"
#include "unit.h"
#include "wire_pair.h"

enum {
    SERVING = HEALTH_HEALTH_CHECK_RESPONSE_SERVING_STATUS_SERVING,
    NOT_SERVING = HEALTH_HEALTH_CHECK_RESPONSE_SERVING_STATUS_NOT_SERVING,
    SERVICE_UNKNOWN = HEALTH_HEALTH_CHECK_RESPONSE_SERVING_STATUS_SERVICE_UNKNOWN,
    TOLD_MAX = 256
};

/* ---- scaffolding ---- */

static struct wire_pair pair;
static struct rpc_health *health;
/* What all calls were told, as digits. */
static char told[TOLD_MAX];

static void keep_status(void *data, const struct rpc_session_call *call, struct rpc_bytes message)
{
    (void)data;
    (void)call;
    health_health_check_response *response =
        grpc__health__v1__health_check_response__unpack(NULL, message.len, message.data);
    assert_non_null(response);
    size_t len = strlen(told);
    assert_true(len + 1 < sizeof told);
    told[len] = (char)('0' + (int)response->status);
    told[len + 1] = '\0';
    grpc__health__v1__health_check_response__free_unpacked(response, NULL);
}

static int set_up(void **state)
{
    (void)state;
    health = rpc_health_new();
    assert_non_null(health);
    const struct rpc_service service = rpc_health_service(health);
    wire_pair_open_service(&pair, &service);
    pair.on_message = keep_status;
    told[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wire_pair_close(&pair);
    rpc_health_free(health);
    return 0;
}

static void set(const char *name, bool serving)
{
    assert_int_equal(rpc_health_set(health, name, serving), RPC_OK);
}

static struct rpc_session_call *ask(
    enum health_method method, const char *name, struct wire_end *end)
{
    health_health_check_request request = HEALTH_HEALTH_CHECK_REQUEST_INIT;
    request.service = name;
    size_t len = protobuf_c_message_get_packed_size(&request.base);
    uint8_t *bytes = malloc(len + 1);
    assert_non_null(bytes);
    (void)protobuf_c_message_pack(&request.base, bytes);
    struct rpc_session_call *call =
        wire_pair_call(&pair, &health_methods[method], 0, bytes, len, end);
    free(bytes);
    return call;
}

static void check(const char *name, struct wire_end *end)
{
    told[0] = '\0';
    (void)ask(HEALTH_CHECK, name, end);
    wire_pair_move(&pair);
    assert_true(end->has_ended);
}

static struct rpc_session_call *watch(const char *name, struct wire_end *end)
{
    struct rpc_session_call *call = ask(HEALTH_WATCH, name, end);
    wire_pair_move(&pair);
    return call;
}

/* ---- Check ---- */

static void test_check_answers_what_was_set(void **state)
{
    struct wire_end end;
    (void)state;
    set("up", true);
    set("down", false);
    check("up", &end);
    assert_string_equal(told, "1");
    check("down", &end);
    assert_string_equal(told, "2");
    assert_int_equal(end.code, RPC_OK);
    check("", &end);
    assert_string_equal(told, "1");
}

static void test_check_of_what_nobody_set_is_not_found(void **state)
{
    static const char *const NAMES[] = {"up.", "u", "Up", "up\xc3\xa9"};
    struct wire_end end;
    (void)state;
    set("up", true);
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        check(NAMES[i], &end);
        assert_int_equal(end.code, RPC_NOT_FOUND);
        assert_string_equal(told, "");
    }
    rpc_health_clear(health, "up");
    check("up", &end);
    assert_int_equal(end.code, RPC_NOT_FOUND);
    rpc_health_clear(health, "up");
    rpc_health_clear(health, "");
    check("", &end);
    assert_int_equal(end.code, RPC_NOT_FOUND);
}

static void test_two_thousand_names_keep_what_is_theirs(void **state)
{
    enum { NAMES = 2000, STEP = 7919 };
    char name[32];
    struct wire_end end;
    (void)state;
    /* In an order that is neither sorted nor its reverse. */
    for (unsigned i = 0; i < NAMES; i++) {
        unsigned number = i * STEP % NAMES;
        (void)snprintf(name, sizeof name, "service-%u", number);
        set(name, number % 3 == 0);
    }
    for (unsigned i = 0; i < NAMES; i++) {
        (void)snprintf(name, sizeof name, "service-%u", i);
        check(name, &end);
        assert_string_equal(told, i % 3 == 0 ? "1" : "2");
        if (i % 2 == 0)
            rpc_health_clear(health, name);
    }
    for (unsigned i = 0; i < NAMES; i++) {
        (void)snprintf(name, sizeof name, "service-%u", i);
        check(name, &end);
        assert_int_equal(end.code, i % 2 == 0 ? RPC_NOT_FOUND : RPC_OK);
    }
}

/* ---- Watch ---- */

static void test_watch_is_told_at_once_and_then_each_change_once(void **state)
{
    struct wire_end end;
    (void)state;
    set("up", true);
    (void)watch("up", &end);
    assert_string_equal(told, "1");
    set("up", true);
    set("other", false);
    wire_pair_move(&pair);
    assert_string_equal(told, "1");
    set("up", false);
    wire_pair_move(&pair);
    set("up", true);
    wire_pair_move(&pair);
    assert_string_equal(told, "121");
    assert_false(end.has_ended);
}

static void test_watch_of_an_unknown_name_stays_open_until_it_is_known(void **state)
{
    struct wire_end end;
    (void)state;
    (void)watch("later", &end);
    assert_string_equal(told, "3");
    assert_false(end.has_ended);
    set("later", false);
    wire_pair_move(&pair);
    rpc_health_clear(health, "later");
    wire_pair_move(&pair);
    set("later", true);
    wire_pair_move(&pair);
    assert_string_equal(told, "3231");
    assert_false(end.has_ended);
}

static void test_slow_watcher_gets_the_newest_and_nothing_twice(void **state)
{
    struct wire_end end;
    (void)state;
    set("up", true);
    (void)watch("up", &end);
    for (int i = 0; i < 1000; i++)
        set("up", i % 2 != 0);
    /* Back to what was told. */
    wire_pair_move(&pair);
    assert_string_equal(told, "1");
    for (int i = 0; i < 1001; i++)
        set("up", i % 2 != 0);
    wire_pair_move(&pair);
    assert_string_equal(told, "12");
}

static void test_watchers_of_one_name_are_all_told_and_leave_one_by_one(void **state)
{
    enum { WATCHERS = 20 };
    struct wire_end ends[WATCHERS];
    struct rpc_session_call *calls[WATCHERS];
    (void)state;
    for (int i = 0; i < WATCHERS; i++)
        calls[i] = watch("together", &ends[i]);
    set("together", true);
    wire_pair_move(&pair);
    assert_int_equal(strlen(told), 2 * WATCHERS);
    for (int i = 0; i < WATCHERS; i += 2)
        rpc_session_call_cancel(calls[i]);
    wire_pair_move(&pair);
    assert_int_equal(rpc_server_n_calls(pair.server), WATCHERS / 2);
    told[0] = '\0';
    set("together", false);
    wire_pair_move(&pair);
    assert_int_equal(strlen(told), WATCHERS / 2);
}

static void test_name_to_the_limit_can_be_set_and_a_longer_one_cannot(void **state)
{
    static char name[RPC_HEALTH_NAME_MAX + 2];
    struct wire_end end;
    struct wire_end other;
    (void)state;
    memset(name, 'n', RPC_HEALTH_NAME_MAX);
    set(name, true);
    check(name, &end);
    assert_string_equal(told, "1");
    name[RPC_HEALTH_NAME_MAX] = 'n';
    assert_int_equal(rpc_health_set(health, name, true), RPC_INVALID_ARGUMENT);
    check(name, &end);
    assert_int_equal(end.code, RPC_NOT_FOUND);
    (void)watch(name, &other);
    assert_string_equal(told, "3");
    assert_false(other.has_ended);
    rpc_health_shut(health);
    wire_pair_move(&pair);
    assert_int_equal(other.code, RPC_UNAVAILABLE);
}

/* ---- the end ---- */

static void test_shut_tells_not_serving_and_ends_every_watch(void **state)
{
    struct wire_end ends[3];
    struct wire_end end;
    (void)state;
    set("up", true);
    set("down", false);
    (void)watch("up", &ends[0]);
    (void)watch("down", &ends[1]);
    (void)watch("nobody", &ends[2]);
    assert_string_equal(told, "123");
    rpc_health_shut(health);
    wire_pair_move(&pair);
    assert_string_equal(told, "1232");
    for (int i = 0; i < 3; i++) {
        assert_true(ends[i].has_ended);
        assert_int_equal(ends[i].code, RPC_UNAVAILABLE);
    }
    set("up", true);
    set("new", true);
    check("up", &end);
    assert_string_equal(told, "2");
    check("new", &end);
    assert_string_equal(told, "2");
    check("", &end);
    assert_string_equal(told, "2");
    check("nobody", &end);
    assert_int_equal(end.code, RPC_NOT_FOUND);
}

static void test_free_before_the_server_ends_every_watch(void **state)
{
    struct wire_end ends[2];
    (void)state;
    (void)watch("", &ends[0]);
    (void)watch("nobody", &ends[1]);
    rpc_health_free(health);
    health = NULL;
    wire_pair_move(&pair);
    assert_int_equal(ends[0].code, RPC_UNAVAILABLE);
    assert_int_equal(ends[1].code, RPC_UNAVAILABLE);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_check_answers_what_was_set),
        TEST(test_check_of_what_nobody_set_is_not_found),
        TEST(test_two_thousand_names_keep_what_is_theirs),
        TEST(test_watch_is_told_at_once_and_then_each_change_once),
        TEST(test_watch_of_an_unknown_name_stays_open_until_it_is_known),
        TEST(test_slow_watcher_gets_the_newest_and_nothing_twice),
        TEST(test_watchers_of_one_name_are_all_told_and_leave_one_by_one),
        TEST(test_name_to_the_limit_can_be_set_and_a_longer_one_cannot),
        TEST(test_shut_tells_not_serving_and_ends_every_watch),
        TEST(test_free_before_the_server_ends_every_watch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
