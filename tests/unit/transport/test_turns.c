/* Whose turn it is, how long all of them may last, and what all may hold. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka wants the standard ones first. */
#include <cmocka.h>

#include "common/base/clock.h"
#include "crpc/limits.h"
#include "harness.h"
#include "server/transport/limits.h"

enum { FRAME_MAX = 128, HEADER = 10, CLIENTS = 8 };

/* What the handlers have done: an 's' for each GetStatus, an 'o' for each GetOperation. */
static char handled[64];
static size_t n_handled;

static void note(char what)
{
    assert_true(n_handled < sizeof(handled) - 1);
    handled[n_handled++] = what;
    handled[n_handled] = '\0';
}

static void forget(void)
{
    n_handled = 0;
    handled[0] = '\0';
}

/* As long as all of one turn may take. */
static void burn(void)
{
    int64_t end_at = clock_monotonic_ms() + TRANSPORT_TURN_MS;

    while (clock_monotonic_ms() < end_at)
        continue;
}

static void burning_get_status(
    void *self, struct flocks_get_status_call *call, const flocks_get_status_request *request)
{
    flocks_get_status_response response = FLOCKS_GET_STATUS_RESPONSE_INIT;

    (void)self;
    (void)request;
    burn();
    note('s');
    flocks_get_status_reply(call, &response);
}

static void noted_get_operation(
    void *self, struct flocks_get_operation_call *call, const flocks_get_operation_request *request)
{
    flocks_get_operation_response response = FLOCKS_GET_OPERATION_RESPONSE_INIT;

    (void)self;
    (void)request;
    note('o');
    flocks_get_operation_reply(call, &response);
}

static const struct flocks_supervisor_handlers burning_handlers = {
    .get_status = burning_get_status,
    .get_operation = noted_get_operation,
};

static void call(int fd, const char *method)
{
    uint8_t frame[FRAME_MAX];

    client_send(fd, frame, client_frame(frame, 1, method));
}

static void run_until_handled(struct harness *harness, size_t n)
{
    int64_t deadline_at = harness_deadline();

    while (n_handled < n)
        harness_turn(harness, deadline_at);
}

/* Exactly the bytes that a first turn takes, which say nothing. */
static void make_noise(struct harness *harness, int fd)
{
    enum { TURNS = 8 };
    uint8_t noise[RPC_RECEIVE_BYTES_FIRST] = {0};
    size_t body_len = sizeof(noise) - HEADER;
    int64_t deadline_at = harness_deadline();

    noise[2] = (uint8_t)(body_len >> 8);
    noise[3] = (uint8_t)body_len;
    noise[7] = 1;
    noise[8] = 0x7f;
    client_send(fd, noise, sizeof(noise));
    for (int i = 0; i < TURNS; i++)
        harness_turn(harness, deadline_at);
}

static void test_turn_ends_in_time_however_many_have_called(void **state)
{
    struct harness harness;
    int fds[CLIENTS];

    (void)state;
    forget();
    harness_open_with(&harness, &burning_handlers);
    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = client_connect(&harness);
        call(fds[i], "GetStatus");
    }
    for (size_t i = 1; i <= CLIENTS; i++) {
        run_until_handled(&harness, i);
        assert_int_equal(n_handled, i);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_true(client_has_answer(&harness, fds[i], 1));
        (void)close(fds[i]);
    }
    harness_close(&harness);
}

static void test_short_call_has_its_turn_before_those_of_noisy_clients(void **state)
{
    struct harness harness;
    int noisy[2];
    int quiet;

    (void)state;
    forget();
    harness_open_with(&harness, &burning_handlers);
    quiet = client_connect(&harness);
    call(quiet, "GetOperation");
    assert_true(client_has_answer(&harness, quiet, 1));
    for (size_t i = 0; i < 2; i++) {
        noisy[i] = client_connect(&harness);
        make_noise(&harness, noisy[i]);
    }
    for (size_t i = 0; i < 2; i++)
        call(noisy[i], "GetStatus");
    call(quiet, "GetOperation");
    run_until_handled(&harness, 4);
    assert_string_equal(handled, "ooss");
    (void)close(quiet);
    (void)close(noisy[0]);
    (void)close(noisy[1]);
    harness_close(&harness);
}

/* Bytes of a frame that is announced as the largest, and never comes to its end. */
static void send_most_of_a_frame(struct harness *harness, int fd)
{
    enum { PIECE = 64 * 1024 };
    uint8_t *piece = calloc(1, PIECE);
    int64_t deadline_at = harness_deadline();
    size_t left = RPC_MESSAGE_BYTES_MAX - PIECE;

    assert_non_null(piece);
    client_send(fd, (uint8_t[HEADER]){0, 0x40, 0, 0, 0, 0, 0, 1, 1, 0}, HEADER);
    while (left > 0) {
        ssize_t sent = send(fd, piece, left < PIECE ? left : PIECE, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent > 0)
            left -= (size_t)sent;
        else if (errno != EAGAIN)
            break; /* closed meanwhile, for the sake of the others */
        harness_turn(harness, deadline_at);
    }
    free(piece);
}

static void test_connections_that_hold_too_much_together_are_closed(void **state)
{
    enum { N = RPC_HELD_BYTES_MAX / RPC_MESSAGE_BYTES_MAX + 2 };
    struct harness harness;
    int fds[N];
    int polite;

    (void)state;
    harness_open(&harness, 0);
    polite = client_connect(&harness);
    call(polite, "GetStatus");
    assert_true(client_has_answer(&harness, polite, 1));
    for (size_t i = 0; i < N; i++) {
        fds[i] = client_connect(&harness);
        send_most_of_a_frame(&harness, fds[i]);
    }
    assert_true(transport_connections(harness.transport) < N);
    call(polite, "GetStatus");
    assert_true(client_has_answer(&harness, polite, 1));
    for (size_t i = 0; i < N; i++)
        (void)close(fds[i]);
    (void)close(polite);
    harness_close(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turn_ends_in_time_however_many_have_called),
        cmocka_unit_test(test_short_call_has_its_turn_before_those_of_noisy_clients),
        cmocka_unit_test(test_connections_that_hold_too_much_together_are_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
