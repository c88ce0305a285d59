/* The client driven from a loop: the loop here is a few lines over the scripted peer. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "flocks/v1/supervisor.names.h"

#include "common/base/clock.h"
#include "common/rpc/client_state.h"
#include "common/rpc/frame.h"
#include "crpc/limits.h"
#include "fake_wire.h"
#include "unit.h"

enum { NOTES_MAX = 64 };

static struct rpc_client *client;
static struct rpc_error *error;
/* What the callbacks noted, in order, one word each. */
static char notes[1024];

static void note(const char *word)
{
    assert_true(strlen(notes) + strlen(word) + 2 < sizeof notes);
    if (notes[0] != '\0')
        strcat(notes, " ");
    strcat(notes, word);
}

static int set_up(void **state)
{
    (void)state;
    client = rpc_client_take_fd(fake_wire_open(), &error);
    if (client == NULL)
        return -1;
    rpc_client_attach(client);
    notes[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rpc_error_free(error);
    error = NULL;
    rpc_client_close(client);
    fake_wire_close();
    return 0;
}

/* One turn: waits for what the client wants, `timeout_ms` at most. */
static void turn(int64_t timeout_ms)
{
    unsigned wants = rpc_client_wants(client);
    struct pollfd ready = {.fd = rpc_client_fd(client),
        .events = (short)(((wants & RPC_WANTS_READ) != 0 ? POLLIN : 0) |
                          ((wants & RPC_WANTS_WRITE) != 0 ? POLLOUT : 0))};
    int64_t left_ms = rpc_client_next_at(client) - clock_monotonic_ms();
    if (left_ms > timeout_ms)
        left_ms = timeout_ms;
    (void)poll(&ready, 1, left_ms < 0 ? 0 : (int)left_ms);
    rpc_client_process(client);
}

static void turns(int n)
{
    while (n-- > 0)
        turn(0);
}

/* ---- callbacks ---- */

static void deliver(rpc_typed_fn typed, void *data, const struct rpc_error *failure,
    const ProtobufCMessage *response)
{
    (void)data;
    assert_true((failure == NULL) != (response == NULL));
    if (response != NULL)
        note(((const flocks_get_operation_request *)response)->operation_id);
    if (failure != NULL)
        note(failure->code == RPC_DEADLINE_EXCEEDED ? "late"
             : failure->code == RPC_UNAVAILABLE     ? "gone"
                                                    : "failed");
    if (typed != NULL)
        typed();
}

static struct rpc_pending *begin_then(int64_t timeout_ms, rpc_typed_fn typed)
{
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    const struct rpc_options options = {.timeout_ms = timeout_ms};
    return rpc_client_begin(
        client, &TALK_ASK, &options, &request.base, deliver, typed, NULL, &error);
}

static struct rpc_pending *begin(int64_t timeout_ms)
{
    struct rpc_pending *pending = begin_then(timeout_ms, NULL);
    assert_non_null(pending);
    return pending;
}

/* A listener that notes what it hears, and does as it is told. */
struct listener {
    const char *name;
    struct rpc_stream *stream;
    /* Messages to take; -1: all. */
    int n_taken;
    bool closes_at_message;
    bool closes_at_end;
    bool wakes_itself;
    bool begins_more;
    /* Closed when this one hears a message. */
    struct listener *victim;
};

static void close_listener(struct listener *listener)
{
    rpc_stream_close(listener->stream);
    listener->stream = NULL;
}

static enum rpc_take hear(
    const void *typed, void *data, struct rpc_stream *stream, const ProtobufCMessage *message)
{
    (void)typed;
    struct listener *listener = data;
    assert_ptr_equal(stream, listener->stream);
    if (listener->n_taken == 0) {
        note("later");
        if (listener->wakes_itself) {
            listener->n_taken = 1;
            rpc_stream_wake(stream);
        }
        return RPC_TAKE_LATER;
    }
    if (listener->n_taken > 0)
        listener->n_taken--;
    note(((const flocks_get_operation_request *)message)->operation_id);
    if (listener->begins_more)
        (void)begin(0);
    if (listener->victim != NULL && listener->victim->stream != NULL)
        close_listener(listener->victim);
    if (listener->closes_at_message)
        close_listener(listener);
    return RPC_TAKE_DONE;
}

static void hear_room(const void *typed, void *data, struct rpc_stream *stream)
{
    (void)typed;
    (void)data;
    (void)stream;
    note("room");
}

static void hear_end(
    const void *typed, void *data, struct rpc_stream *stream, const struct rpc_error *failure)
{
    (void)typed;
    (void)stream;
    struct listener *listener = data;
    note(failure == NULL                           ? "end"
         : failure->code == RPC_DEADLINE_EXCEEDED  ? "late"
         : failure->code == RPC_UNAVAILABLE        ? "gone"
         : failure->code == RPC_RESOURCE_EXHAUSTED ? "flooded"
                                                   : "failed");
    if (listener->closes_at_end)
        close_listener(listener);
}

static const struct rpc_watch_hooks HOOKS = {
    .message = hear, .writable = hear_room, .ended = hear_end};

static void watch(struct listener *listener, const struct rpc_method *method, int64_t timeout_ms)
{
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    const struct rpc_options options = {.timeout_ms = timeout_ms};
    listener->stream = rpc_client_watch(client, method, &options,
        method->kind == RPC_SERVER_STREAM ? &request.base : NULL, &HOOKS, NULL, listener, &error);
    assert_non_null(listener->stream);
}

static enum rpc_result say(struct listener *listener, const char *text)
{
    flocks_get_operation_request message = FLOCKS_GET_OPERATION_REQUEST_INIT;
    message.operation_id = text;
    return rpc_stream_send(listener->stream, &message.base, &error);
}

/* ---- unary ---- */

static void test_begun_calls_are_answered_from_process_only(void **state)
{
    (void)state;
    talk_answer(2, 3, "second");
    talk_answer(2, 1, "first");
    (void)begin(0);
    (void)begin(0);
    assert_int_equal(rpc_client_wants(client), RPC_WANTS_READ | RPC_WANTS_WRITE);
    assert_int_equal(wire.n_done[FAKE_WRITE], 0);
    turns(3);
    assert_string_equal(notes, "second first");
    /* Both requests left in one write. */
    assert_int_equal(wire.n_done[FAKE_WRITE], 1);
    assert_int_equal(rpc_client_wants(client), RPC_WANTS_READ);
    assert_int_equal(rpc_client_next_at(client), INT64_MAX);
}

static void test_answers_are_taken_cut_at_every_byte(void **state)
{
    (void)state;
    wire.read_max = 1;
    wire.write_max = 1;
    talk_answer(1, 1, "word");
    (void)begin(0);
    for (int i = 0; i < 100; i++)
        turn(0);
    assert_string_equal(notes, "word");
}

static void test_cancelled_call_is_never_heard_of(void **state)
{
    (void)state;
    struct rpc_pending *first = begin(0);
    struct rpc_pending *second = begin(0);
    turn(0);
    rpc_pending_cancel(first);
    talk_answer(2, 1, "first");
    talk_answer(2, 3, "second");
    turns(3);
    (void)second;
    assert_string_equal(notes, "second");
    assert_int_equal(talk_heard(1, RPC_FRAME_CANCEL), 1);
    /* Never sent: nothing is told of it. */
    rpc_pending_cancel(begin(0));
    turns(2);
    assert_string_equal(notes, "second");
}

static void test_deadlines_pass_in_their_order(void **state)
{
    (void)state;
    (void)begin(300);
    (void)begin(100);
    (void)begin(200);
    int64_t began_at = wire.now_ms;
    assert_int_equal(rpc_client_next_at(client), began_at + 100);
    turn(1000);
    turn(1000);
    assert_string_equal(notes, "late");
    assert_int_equal(wire.now_ms, began_at + 100);
    turn(1000);
    turn(1000);
    assert_string_equal(notes, "late late late");
    assert_int_equal(wire.now_ms, began_at + 300);
    turn(0);
    assert_int_equal(talk_heard(1, RPC_FRAME_CANCEL) + talk_heard(3, RPC_FRAME_CANCEL), 2);
}

static struct rpc_pending *others[3];

static void cancel_others(void)
{
    for (int i = 0; i < 3; i++)
        rpc_pending_cancel(others[i]);
}

static void test_callback_cancels_what_would_be_told_next(void **state)
{
    (void)state;
    assert_non_null(begin_then(0, cancel_others));
    for (int i = 0; i < 3; i++)
        others[i] = begin(0);
    talk_answer(4, 1, "first");
    talk_answer(4, 3, "second");
    fake_wire_hang_up(4, 0, 0);
    turns(5);
    assert_string_equal(notes, "first");
    assert_int_equal(rpc_client_wants(client), RPC_WANTS_CLOSE);
}

static void begin_again(void)
{
    assert_null(begin_then(0, NULL));
    assert_int_equal(error->code, RPC_UNAVAILABLE);
    rpc_error_free(error);
    error = NULL;
}

static void test_lost_connection_ends_everything_once(void **state)
{
    (void)state;
    struct listener listener = {.n_taken = -1};
    watch(&listener, &TALK_LISTEN, 0);
    (void)begin_then(0, begin_again);
    (void)begin(0);
    talk_message(3, 1, "word");
    fake_wire_hang_up(3, 0, ECONNRESET);
    turns(4);
    assert_string_equal(notes, "word gone gone gone");
    assert_false(rpc_client_is_alive(client));
    assert_int_equal(rpc_client_wants(client), RPC_WANTS_CLOSE);
    turns(1);
    assert_string_equal(notes, "word gone gone gone");
    close_listener(&listener);
}

static void test_closing_a_client_drops_what_is_pending(void **state)
{
    (void)state;
    (void)begin(0);
    turn(0);
    (void)begin(0);
    rpc_client_close(client);
    client = NULL;
    assert_string_equal(notes, "");
}

static void test_blocking_functions_are_refused(void **state)
{
    (void)state;
    struct listener listener = {.n_taken = -1};
    watch(&listener, &TALK_TELL, 0);
    const ProtobufCMessage *message = NULL;
    assert_int_equal(rpc_stream_next(listener.stream, &message, &error), RPC_ERROR);
    assert_int_equal(error->code, RPC_FAILED_PRECONDITION);
    rpc_error_free(error);
    assert_int_equal(rpc_stream_finish(listener.stream, &message, &error), RPC_ERROR);
    assert_int_equal(error->code, RPC_FAILED_PRECONDITION);
    rpc_error_free(error);
    assert_null(rpc_client_open(client, &TALK_CHAT, NULL, NULL, &error));
    assert_int_equal(error->code, RPC_FAILED_PRECONDITION);
    close_listener(&listener);
}

static void test_half_a_frame_for_too_long_ends_it(void **state)
{
    (void)state;
    (void)begin(60000);
    fake_wire_say(1, 0, "000000");
    turns(3);
    int64_t at = rpc_client_next_at(client);
    assert_int_equal(at, wire.now_ms + RPC_FRAME_MS_MAX);
    turn(60000);
    assert_string_equal(notes, "failed");
    assert_int_equal(rpc_client_wants(client), RPC_WANTS_CLOSE);
}

/* ---- streams ---- */

static void test_watched_streams_are_told_and_ended(void **state)
{
    (void)state;
    struct listener first = {.n_taken = -1};
    struct listener second = {.n_taken = -1};
    watch(&first, &TALK_LISTEN, 0);
    watch(&second, &TALK_LISTEN, 0);
    talk_message(2, 1, "a1");
    talk_message(2, 3, "b1");
    talk_end(2, 1);
    talk_message(2, 3, "b2");
    talk_error(2, 3, RPC_ABORTED, "enough");
    turns(8);
    assert_string_equal(notes, "a1 b1 end b2 failed");
    close_listener(&first);
    close_listener(&second);
}

static void test_message_for_later_is_given_again_when_woken(void **state)
{
    (void)state;
    struct listener listener = {.n_taken = 1};
    watch(&listener, &TALK_LISTEN, 0);
    talk_message(1, 1, "one");
    talk_message(1, 1, "two");
    talk_message(1, 1, "three");
    talk_end(1, 1);
    turns(6);
    assert_string_equal(notes, "one later");
    assert_int_equal(rpc_client_next_at(client), INT64_MAX);
    listener.n_taken = 1;
    rpc_stream_wake(listener.stream);
    assert_int_equal(rpc_client_next_at(client), 0);
    turn(0);
    assert_string_equal(notes, "one later two later");
    listener.n_taken = -1;
    rpc_stream_wake(listener.stream);
    rpc_stream_wake(listener.stream);
    turn(0);
    assert_string_equal(notes, "one later two later three end");
    rpc_stream_wake(listener.stream);
    turn(0);
    assert_string_equal(notes, "one later two later three end");
    close_listener(&listener);
}

static void test_stream_that_wakes_itself_has_its_next_turn(void **state)
{
    (void)state;
    struct listener listener = {.n_taken = 0, .wakes_itself = true};
    watch(&listener, &TALK_LISTEN, 0);
    talk_message(1, 1, "one");
    turns(3);
    assert_string_equal(notes, "later one");
    close_listener(&listener);
}

static void test_sleeping_stream_is_bounded_and_the_others_go_on(void **state)
{
    (void)state;
    struct listener sleeper = {.n_taken = 0};
    struct listener other = {.n_taken = -1};
    watch(&sleeper, &TALK_LISTEN, 0);
    watch(&other, &TALK_LISTEN, 0);
    for (int i = 0; i < RPC_INBOUND_MESSAGES_MAX + 2; i++)
        talk_message(2, 1, "drop");
    talk_message(2, 3, "word");
    turns(RPC_INBOUND_MESSAGES_MAX + 5);
    assert_string_equal(notes, "later word");
    assert_int_equal(talk_heard(1, RPC_FRAME_CANCEL), 1);
    notes[0] = '\0';
    sleeper.n_taken = -1;
    sleeper.closes_at_end = true;
    rpc_stream_wake(sleeper.stream);
    turn(0);
    assert_non_null(strstr(notes, "drop flooded"));
    close_listener(&other);
}

static void test_hooks_may_close_their_own_stream_and_others(void **state)
{
    (void)state;
    struct listener victim = {.n_taken = 0};
    struct listener killer = {.n_taken = -1, .closes_at_message = true, .victim = &victim};
    struct listener ender = {.n_taken = -1, .closes_at_end = true};
    watch(&victim, &TALK_LISTEN, 0);
    watch(&killer, &TALK_LISTEN, 0);
    watch(&ender, &TALK_LISTEN, 0);
    talk_message(3, 1, "v1");
    talk_message(3, 3, "k1");
    talk_message(3, 3, "k2");
    talk_message(3, 1, "v2");
    talk_end(3, 5);
    turns(8);
    assert_string_equal(notes, "later k1 end");
    assert_null(killer.stream);
    assert_null(victim.stream);
    assert_null(ender.stream);
}

static void test_woken_stream_may_be_closed_by_another_that_was_woken(void **state)
{
    (void)state;
    struct listener victim = {.n_taken = 0};
    struct listener killer = {.n_taken = 0, .closes_at_message = true, .victim = &victim};
    watch(&killer, &TALK_LISTEN, 0);
    watch(&victim, &TALK_LISTEN, 0);
    talk_message(2, 1, "k1");
    talk_message(2, 3, "v1");
    turns(4);
    killer.n_taken = victim.n_taken = -1;
    rpc_stream_wake(killer.stream);
    rpc_stream_wake(victim.stream);
    turn(0);
    assert_string_equal(notes, "later later k1");
}

static void test_hook_begins_a_call_that_leaves_with_the_same_turn(void **state)
{
    (void)state;
    struct listener listener = {.n_taken = -1, .begins_more = true};
    watch(&listener, &TALK_LISTEN, 0);
    talk_message(1, 1, "word");
    talk_answer(2, 3, "answer");
    turns(2);
    assert_int_equal(talk_heard(3, RPC_FRAME_REQUEST), 1);
    turns(2);
    assert_string_equal(notes, "word answer");
    close_listener(&listener);
}

static void test_deadline_of_a_stream_is_told_once(void **state)
{
    (void)state;
    struct listener listener = {.n_taken = -1};
    watch(&listener, &TALK_LISTEN, 50);
    talk_message(1, 1, "word");
    turns(3);
    turn(1000);
    turns(2);
    assert_string_equal(notes, "word late");
    assert_int_equal(talk_heard(1, RPC_FRAME_CANCEL), 1);
    close_listener(&listener);
}

static void test_sender_is_told_of_room(void **state)
{
    (void)state;
    struct listener listener = {.n_taken = -1};
    watch(&listener, &TALK_CHAT, 0);
    static char text[600001];
    memset(text, 'x', sizeof text - 1);
    wire.room = 50;
    assert_int_equal(say(&listener, text), RPC_DONE);
    assert_int_equal(say(&listener, text), RPC_AGAIN);
    /* Taken all the same, up to the hard bound; then refused, and nothing is lost by it. */
    enum rpc_result result = RPC_AGAIN;
    size_t n = 2;
    while ((result = say(&listener, text)) == RPC_AGAIN)
        n++;
    assert_int_equal(result, RPC_ERROR);
    assert_int_equal(error->code, RPC_RESOURCE_EXHAUSTED);
    turns(2);
    assert_string_equal(notes, "");
    wire.room = SIZE_MAX;
    turns(2);
    assert_string_equal(notes, "room");
    assert_int_equal(talk_heard(1, RPC_FRAME_DATA), n);
    assert_int_equal(rpc_stream_half_close(listener.stream, NULL), RPC_DONE);
    talk_end(n + 2, 1);
    turns(3);
    assert_string_equal(notes, "room end");
    rpc_error_free(error);
    assert_int_equal(say(&listener, text), RPC_ERROR);
    close_listener(&listener);
}

static void test_client_streams_answer_is_its_message(void **state)
{
    (void)state;
    struct listener listener = {.n_taken = -1};
    watch(&listener, &TALK_TELL, 0);
    assert_int_equal(say(&listener, "one"), RPC_DONE);
    assert_int_equal(rpc_stream_half_close(listener.stream, &error), RPC_DONE);
    talk_answer(3, 1, "sum");
    turns(3);
    assert_string_equal(notes, "sum end");
    close_listener(&listener);
}

static void test_garbage_ends_the_stream(void **state)
{
    (void)state;
    struct listener listener = {.n_taken = -1};
    watch(&listener, &TALK_LISTEN, 0);
    fake_wire_say(1, 0, "00000003 00000001 03 00 0a01ff");
    talk_message(1, 1, "after");
    turns(4);
    assert_string_equal(notes, "failed");
    assert_int_equal(talk_heard(1, RPC_FRAME_CANCEL), 1);
    close_listener(&listener);
}

static void test_stream_asleep_when_the_connection_went_is_told_when_woken(void **state)
{
    (void)state;
    struct listener listener = {.n_taken = 0};
    watch(&listener, &TALK_LISTEN, 0);
    talk_message(1, 1, "one");
    fake_wire_hang_up(1, 0, 0);
    turns(4);
    assert_string_equal(notes, "later");
    assert_int_equal(rpc_client_wants(client), RPC_WANTS_CLOSE);
    listener.n_taken = -1;
    rpc_stream_wake(listener.stream);
    rpc_client_process(client);
    assert_string_equal(notes, "later one gone");
    close_listener(&listener);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_begun_calls_are_answered_from_process_only),
        TEST(test_answers_are_taken_cut_at_every_byte),
        TEST(test_cancelled_call_is_never_heard_of),
        TEST(test_deadlines_pass_in_their_order),
        TEST(test_callback_cancels_what_would_be_told_next),
        TEST(test_lost_connection_ends_everything_once),
        TEST(test_closing_a_client_drops_what_is_pending),
        TEST(test_blocking_functions_are_refused),
        TEST(test_half_a_frame_for_too_long_ends_it),
        TEST(test_watched_streams_are_told_and_ended),
        TEST(test_message_for_later_is_given_again_when_woken),
        TEST(test_stream_that_wakes_itself_has_its_next_turn),
        TEST(test_sleeping_stream_is_bounded_and_the_others_go_on),
        TEST(test_hooks_may_close_their_own_stream_and_others),
        TEST(test_woken_stream_may_be_closed_by_another_that_was_woken),
        TEST(test_hook_begins_a_call_that_leaves_with_the_same_turn),
        TEST(test_deadline_of_a_stream_is_told_once),
        TEST(test_sender_is_told_of_room),
        TEST(test_client_streams_answer_is_its_message),
        TEST(test_garbage_ends_the_stream),
        TEST(test_stream_asleep_when_the_connection_went_is_told_when_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
