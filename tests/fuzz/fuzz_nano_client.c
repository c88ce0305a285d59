/* Whatever a server may send to the nano client: the first byte says which calls are made, the rest
 * waits in the socket. A call ends with one of gRPC's codes, and every text that is told has an
 * end. */
#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flocks/nano.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As texts in a struct must end within it. */
#define ASSERT_TEXT(array) assert(memchr((array), '\0', sizeof(array)) != NULL)

static void see_service(void *data, const flocks_service_status *service)
{
    (void)data;
    ASSERT_TEXT(service->name);
    ASSERT_TEXT(service->last_error);
}

static void see_outcome(void *data, const flocks_service_outcome *outcome)
{
    (void)data;
    ASSERT_TEXT(outcome->service);
    ASSERT_TEXT(outcome->message);
}

static enum rpc_code get_status(struct flocks_nano *nano, struct flocks_nano_error *error)
{
    static const flocks_get_status_request REQUEST;
    flocks_get_status_response status;
    enum rpc_code code = flocks_nano_get_status(nano, &REQUEST, see_service, NULL, &status, error);
    if (code == RPC_OK)
        ASSERT_TEXT(status.event_token);
    return code;
}

static enum rpc_code stop(struct flocks_nano *nano, struct flocks_nano_error *error)
{
    static const flocks_stop_services_request REQUEST;
    flocks_stop_services_response answer;
    enum rpc_code code =
        flocks_nano_stop_services(nano, &REQUEST, see_outcome, NULL, &answer, error);
    if (code == RPC_OK)
        ASSERT_TEXT(answer.operation.id);
    return code;
}

static enum rpc_code get_operation(struct flocks_nano *nano, struct flocks_nano_error *error)
{
    static const flocks_get_operation_request REQUEST;
    flocks_get_operation_response answer;
    enum rpc_code code =
        flocks_nano_get_operation(nano, &REQUEST, see_outcome, NULL, &answer, error);
    if (code == RPC_OK)
        ASSERT_TEXT(answer.operation.step);
    return code;
}

static void see_exit(void *data, const flocks_exit_record *record)
{
    (void)data;
    if (record->which_outcome == flocks_v1_ExitRecord_signal_tag)
        ASSERT_TEXT(record->outcome.signal);
}

static enum rpc_code explain(struct flocks_nano *nano, struct flocks_nano_error *error)
{
    static const flocks_explain_service_request REQUEST;
    flocks_explain_service_response why;
    enum rpc_code code = flocks_nano_explain_service(nano, &REQUEST, see_exit, NULL, &why, error);
    if (code == RPC_OK)
        ASSERT_TEXT(why.hint);
    return code;
}

/* One bit of each half of `which` says which. */
static enum rpc_code call(
    unsigned which, unsigned i, struct flocks_nano *nano, struct flocks_nano_error *error)
{
    if ((which >> (i + 4) & 1) != 0)
        return (which >> i & 1) == 0 ? get_operation(nano, error) : explain(nano, error);
    return (which >> i & 1) == 0 ? get_status(nano, error) : stop(nano, error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { CALLS = 4, SENT_MAX = 64 * 1024 };
    if (size == 0 || size > SENT_MAX)
        return 0;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return 0;
    ssize_t sent = size > 1 ? write(ends[1], data + 1, size - 1) : 0;
    /* Nothing will follow: no call waits. */
    bool is_said = sent == (ssize_t)size - 1 && shutdown(ends[1], SHUT_WR) == 0;
    static struct flocks_nano nano;
    flocks_nano_use(&nano, ends[0]);
    for (unsigned i = 0; is_said && i < CALLS; i++) {
        struct flocks_nano_error error;
        enum rpc_code code = call(data[0], i, &nano, &error);
        assert(code == error.code && code >= RPC_OK && code <= RPC_UNAUTHENTICATED);
        ASSERT_TEXT(error.message);
        ASSERT_TEXT(error.detail.hint);
        assert(code == RPC_UNAVAILABLE || flocks_nano_is_usable(&nano));
    }
    flocks_nano_close(&nano);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return 0;
}
