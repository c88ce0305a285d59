/* grpc.health.v1 of flocksd over what the supervisor tells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "caller.h"
#include "grpc/health/v1/health.methods.h"
#include "grpc/health/v1/health.names.h"

enum {
    SERVING = HEALTH_HEALTH_CHECK_RESPONSE_SERVING_STATUS_SERVING,
    NOT_SERVING = HEALTH_HEALTH_CHECK_RESPONSE_SERVING_STATUS_NOT_SERVING
};

/* A status, or the negative code of a failure. */
static int check(struct caller *caller, const char *name)
{
    health_health_check_request request = HEALTH_HEALTH_CHECK_REQUEST_INIT;
    struct answer answer;
    int status;

    request.service = name;
    caller_call(caller, &health_methods[HEALTH_CHECK], &request.base, &answer);
    status = answer.code != 0
                 ? -answer.code
                 : (int)((const health_health_check_response *)answer.response)->status;
    answer_free(&answer);
    return status;
}

static const struct supervisor_health_follower *follower_of(const struct caller *caller)
{
    assert_non_null(caller->supervisor.follower);
    return caller->supervisor.follower;
}

static void test_health_of_the_api_is_well_from_the_beginning(void **state)
{
    static const char *const NAMES[] = {"flocks.v1.SupervisorService", "flocks.v1.UpgradeService",
        "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection", ""};
    struct caller caller;

    (void)state;
    caller_open(&caller, 0);
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        assert_int_equal(check(&caller, NAMES[i]), SERVING);
    assert_int_equal(check(&caller, "flocks.v1"), -RPC_NOT_FOUND);
    caller_close(&caller);
}

static void test_health_follows_services_and_the_whole(void **state)
{
    const struct supervisor_health_follower *follower;
    struct caller caller;

    (void)state;
    caller_open(&caller, 0);
    follower = follower_of(&caller);
    assert_int_equal(check(&caller, "backend"), -RPC_NOT_FOUND);
    follower->service(follower->data, "backend", false);
    follower->whole(follower->data, SUPERVISOR_UNWELL);
    assert_int_equal(check(&caller, "backend"), NOT_SERVING);
    assert_int_equal(check(&caller, ""), NOT_SERVING);
    follower->service(follower->data, "backend", true);
    follower->whole(follower->data, SUPERVISOR_WELL);
    assert_int_equal(check(&caller, "backend"), SERVING);
    assert_int_equal(check(&caller, ""), SERVING);
    follower->gone(follower->data, "backend");
    assert_int_equal(check(&caller, "backend"), -RPC_NOT_FOUND);
    caller_close(&caller);
}

static void test_health_of_one_that_leaves_is_bad_whatever_comes(void **state)
{
    const struct supervisor_health_follower *follower;
    struct caller caller;

    (void)state;
    caller_open(&caller, 0);
    follower = follower_of(&caller);
    follower->service(follower->data, "backend", true);
    follower->whole(follower->data, SUPERVISOR_LEAVING);
    follower->service(follower->data, "webui", true);
    assert_int_equal(check(&caller, "backend"), NOT_SERVING);
    assert_int_equal(check(&caller, "webui"), NOT_SERVING);
    assert_int_equal(check(&caller, ""), NOT_SERVING);
    assert_int_equal(check(&caller, "flocks.v1.SupervisorService"), NOT_SERVING);
    caller_close(&caller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health_of_the_api_is_well_from_the_beginning),
        cmocka_unit_test(test_health_follows_services_and_the_whole),
        cmocka_unit_test(test_health_of_one_that_leaves_is_bad_whatever_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
