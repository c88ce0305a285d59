/* The ring of events: numbers, bounds, tokens, and a flocksd that is killed at every instruction of
 * writing one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "server/supervise/events.h"

enum { MEMORY = EVENTS_MEMORY_MIN, EPOCH = 0x1234, NEW_EPOCH = 0x9999 };

static _Alignas(8) uint8_t memory[MEMORY];

static struct events *open_ring(uint8_t *bytes, uint64_t kept)
{
    struct events *events = NULL;

    assert_int_equal(events_open(bytes, MEMORY, kept, NEW_EPOCH, &events, NULL), 0);
    return events;
}

/* Empty memory, epoch EPOCH. */
static struct events *new_ring(void)
{
    struct events *events = NULL;

    memset(memory, 0, sizeof memory);
    assert_int_equal(events_open(memory, sizeof memory, EVENTS_KEPT_NONE, EPOCH, &events, NULL), 0);
    return events;
}

/* The bytes of event `number` say its number, `len` times. */
static void fill(uint8_t *bytes, size_t len, uint64_t number)
{
    memset(bytes, (int)(number & 0xff), len);
}

static void append(struct events *events, size_t len)
{
    static uint8_t bytes[EVENTS_RECORD_BYTES_MAX + 1];
    const struct event event = {
        .kind = EVENT_TOLD, .names = events_last(events) + 1, .bytes = bytes, .len = len};

    fill(bytes, len, events_last(events) + 1);
    events_append(events, &event);
}

static void assert_event(const struct events *events, uint64_t number, size_t len)
{
    static uint8_t expected[EVENTS_RECORD_BYTES_MAX];
    struct event event;

    assert_true(events_read(events, number, &event));
    assert_int_equal(event.kind, EVENT_TOLD);
    assert_int_equal(event.names, number);
    assert_int_equal(event.len, len);
    fill(expected, len, number);
    assert_memory_equal(event.bytes, expected, len);
}

static bool has(const struct events *events, uint64_t number)
{
    struct event event;

    return events_read(events, number, &event);
}

static void assert_token(const struct events *events, uint64_t number, const char *expected)
{
    char token[EVENTS_TOKEN_SIZE];

    events_token(events, number, token);
    assert_string_equal(token, expected);
}

/* ---- numbers ---- */

static void test_events_fresh_ring_has_none(void **state)
{
    struct events *events = new_ring();

    (void)state;
    assert_int_equal(events_first(events), 1);
    assert_int_equal(events_last(events), 0);
    assert_false(has(events, 0));
    assert_false(has(events, 1));
    events_close(events);
}

static void test_events_are_numbered_and_read_once_told(void **state)
{
    struct events *events = new_ring();

    (void)state;
    append(events, 10);
    append(events, 0);
    append(events, 33);
    assert_false(has(events, 1));
    events_tell(events);
    assert_event(events, 1, 10);
    assert_event(events, 2, 0);
    assert_event(events, 3, 33);
    assert_false(has(events, 4));
    assert_int_equal(events_told(events), 3);
    events_close(events);
}

static void test_events_without_memory_of_the_keeper_has_its_own(void **state)
{
    struct events *events = NULL;

    (void)state;
    assert_int_equal(events_open(NULL, 0, 7, EPOCH, &events, NULL), 0);
    append(events, 5);
    events_tell(events);
    assert_event(events, 1, 5);
    events_close(events);
}

static void test_events_memory_that_is_too_small_is_refused(void **state)
{
    struct events *events = NULL;

    (void)state;
    assert_int_equal(
        events_open(memory, EVENTS_MEMORY_MIN - 1, EVENTS_KEPT_NONE, EPOCH, &events, NULL),
        -STATUS_INVALID_ARGUMENT);
}

/* ---- bounds ---- */

/* supervisord's buffer of events drops the oldest without a word; here the loss has a number. */
static void test_events_full_ring_forgets_the_oldest_and_says_how_many(void **state)
{
    struct events *events = new_ring();
    struct events_place place;
    char token[EVENTS_TOKEN_SIZE];

    (void)state;
    append(events, 100);
    events_tell(events);
    events_token(events, 1, token);
    while (has(events, 1)) {
        append(events, 100);
        events_tell(events);
    }
    assert_int_equal(events_first(events), 2);
    append(events, 500);
    events_tell(events);
    assert_int_equal(events_find(events, token, &place), 0);
    assert_true(place.has_gap);
    assert_int_equal(place.lost, events_first(events) - 2);
    assert_int_equal(place.next, events_last(events) + 1);
    events_close(events);
}

static void test_events_every_remembered_one_is_whole_through_many_laps(void **state)
{
    struct events *events = new_ring();
    size_t lens[2000];
    uint32_t random = 1;

    (void)state;
    for (size_t i = 1; i < sizeof lens / sizeof lens[0]; i++) {
        random = random * 1664525 + 1013904223;
        lens[i] = (random >> 16) % 700;
        append(events, lens[i]);
        events_tell(events);
        for (uint64_t number = events_first(events); number <= i; number++)
            assert_event(events, number, lens[number]);
        assert_true(events_last(events) - events_first(events) >= 2 || i < 3);
    }
    events_close(events);
}

static void test_events_limit_of_4096_is_kept_however_small_they_are(void **state)
{
    enum { LARGE = 1024 * 1024 };
    struct events *events = NULL;
    uint8_t *bytes = calloc(1, LARGE);

    (void)state;
    assert_non_null(bytes);
    assert_int_equal(events_open(bytes, LARGE, EVENTS_KEPT_NONE, EPOCH, &events, NULL), 0);
    for (int i = 0; i < EVENTS_MAX + 10; i++)
        append(events, 1);
    events_tell(events);
    assert_int_equal(events_last(events) - events_first(events) + 1, EVENTS_MAX);
    assert_event(events, events_first(events), 1);
    assert_event(events, events_last(events), 1);
    events_close(events);
    assert_int_equal(events_open(bytes, LARGE, EVENTS_MAX + 10, NEW_EPOCH, &events, NULL), 0);
    assert_int_equal(events_first(events), 11);
    assert_event(events, events_last(events), 1);
    events_close(events);
    free(bytes);
}

static void test_events_longer_than_the_limit_leave_a_hole_that_is_told(void **state)
{
    struct events *events = new_ring();
    struct event event;

    (void)state;
    append(events, EVENTS_RECORD_BYTES_MAX + 1);
    append(events, 3);
    events_tell(events);
    assert_true(events_read(events, 1, &event));
    assert_int_equal(event.kind, EVENT_MISSING);
    assert_int_equal(event.len, 0);
    assert_event(events, 2, 3);
    events_close(events);
}

/* ---- the next flocksd ---- */

static void test_events_survive_flocksd(void **state)
{
    struct events *events = new_ring();

    (void)state;
    for (int i = 0; i < 100; i++)
        append(events, 100);
    events_tell(events);
    events_close(events);
    events = open_ring(memory, 100);
    assert_int_equal(events_last(events), 100);
    assert_int_equal(events_told(events), 100);
    assert_event(events, 100, 100);
    assert_event(events, events_first(events), 100);
    assert_token(events, 100, "0000000000001234-100");
    append(events, 7);
    events_tell(events);
    assert_event(events, 101, 7);
    events_close(events);
}

/* Killed between the events and the state: the change will be made, and told, again. */
static void test_events_beyond_the_state_are_written_again(void **state)
{
    struct events *events = new_ring();

    (void)state;
    append(events, 10);
    events_tell(events);
    append(events, 20);
    append(events, 30);
    events_close(events);
    events = open_ring(memory, 1);
    assert_int_equal(events_last(events), 1);
    assert_token(events, 1, "0000000000001234-1");
    append(events, 40);
    events_tell(events);
    assert_event(events, 2, 40);
    assert_false(has(events, 3));
    events_close(events);
}

/* The same, where the one that is written again lies elsewhere. */
static void test_events_written_again_after_a_wrap_are_not_mistaken_for_the_first_try(void **state)
{
    struct events *events = new_ring();

    (void)state;
    for (int i = 0; i < 4; i++)
        append(events, 900);
    events_tell(events);
    append(events, 8); /* before the end of the memory */
    events_close(events);
    events = open_ring(memory, 4);
    append(events, 900); /* at its beginning */
    events_close(events);
    events = open_ring(memory, 5);
    events_tell(events);
    assert_event(events, 5, 900);
    events_close(events);
}

/* Killed between the state and its readers: they have not heard, and will. */
static void test_events_kept_but_not_told_are_told_by_the_next(void **state)
{
    struct events *events = new_ring();

    (void)state;
    append(events, 10);
    append(events, 20);
    events_close(events);
    events = open_ring(memory, 2);
    assert_false(has(events, 1));
    events_tell(events);
    assert_event(events, 1, 10);
    assert_event(events, 2, 20);
    events_close(events);
}

/* An older state than what was told: numbers must not mean other events. */
static void test_events_told_but_not_kept_begin_a_new_epoch(void **state)
{
    struct events *events = new_ring();
    struct events_place place;

    (void)state;
    append(events, 10);
    append(events, 20);
    events_tell(events);
    events_close(events);
    events = open_ring(memory, 1);
    assert_int_equal(events_last(events), 0);
    assert_token(events, 0, "0000000000009999-0");
    assert_int_equal(events_find(events, "0000000000001234-2", &place), 0);
    assert_true(place.has_gap);
    assert_int_equal(place.lost, 0);
    events_close(events);
}

static void test_events_without_a_state_begin_a_new_epoch(void **state)
{
    struct events *events = new_ring();

    (void)state;
    append(events, 10);
    events_tell(events);
    events_close(events);
    events = open_ring(memory, EVENTS_KEPT_NONE);
    assert_token(events, events_last(events), "0000000000009999-0");
    assert_false(has(events, 1));
    events_close(events);
}

/* Every damage to any byte of a whole ring is seen, or does not matter. */
static void test_events_damaged_anywhere_are_never_told(void **state)
{
    static _Alignas(8) uint8_t damaged[MEMORY];
    struct events *events = new_ring();

    (void)state;
    for (int i = 0; i < 6; i++)
        append(events, 50);
    events_tell(events);
    events_close(events);
    for (size_t at = 0; at < MEMORY; at++) {
        memcpy(damaged, memory, sizeof damaged);
        damaged[at] ^= 0x40;
        events = open_ring(damaged, 6);
        assert_true(events_last(events) == 6 || events_last(events) == 0);
        for (uint64_t number = 1; number <= events_told(events); number++)
            assert_event(events, number, 50);
        events_close(events);
    }
}

/* ---- killed at every instruction ---- */

/* What a flocksd and its test share. */
struct shared {
    _Alignas(8) uint8_t ring[MEMORY];
    uint64_t kept; /* stands for the state */
    uint64_t heard;
};

enum { BEFORE = 9, LEN = 500 };

/* Two events of one turn, into a ring so full that older ones must go, then the state, then the
 * readers. Stopped before and after. */
static void write_a_turn(struct shared *shared)
{
    struct events *events = open_ring(shared->ring, shared->kept);

    (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    (void)raise(SIGSTOP);
    append(events, LEN);
    append(events, LEN);
    *(volatile uint64_t *)&shared->kept = BEFORE + 2;
    events_tell(events);
    *(volatile uint64_t *)&shared->heard = BEFORE + 2;
    (void)raise(SIGSTOP);
    _exit(0);
}

/* What the next flocksd would find, had this one been killed now. */
static void assert_recovers(const struct shared *now)
{
    static _Alignas(8) uint8_t copy[MEMORY];
    struct events *events;

    memcpy(copy, now->ring, sizeof copy);
    events = open_ring(copy, now->kept);
    assert_token(
        events, now->kept, now->kept == BEFORE ? "0000000000001234-9" : "0000000000001234-11");
    assert_int_equal(events_last(events), now->kept);
    assert_true(events_told(events) >= now->heard);
    assert_true(events_first(events) <= now->kept - 4);
    events_tell(events);
    for (uint64_t number = events_first(events); number <= now->kept; number++)
        assert_event(events, number, LEN);
    events_close(events);
}

static void test_events_flocksd_killed_at_any_instruction_leaves_a_whole_ring(void **state)
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static struct shared last;
    struct events *events = new_ring();
    unsigned states = 0;
    int status = 0;
    pid_t child;

    (void)state;
    assert_ptr_not_equal(shared, MAP_FAILED);
    for (int i = 0; i < BEFORE; i++)
        append(events, LEN);
    events_tell(events);
    assert_true(events_first(events) > 1);
    events_close(events);
    memcpy(shared->ring, memory, sizeof memory);
    shared->kept = shared->heard = BEFORE;
    child = fork();
    if (child == 0)
        write_a_turn(shared);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    for (;;) {
        if (memcmp(&last, shared, sizeof last) != 0) {
            memcpy(&last, shared, sizeof last);
            assert_recovers(&last);
            states++;
        }
        if (shared->heard == BEFORE + 2)
            break;
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0 ||
            waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
            break;
    }
    (void)kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
    if (states == 1) {
        (void)munmap(shared, sizeof *shared);
        skip(); /* this system lets nobody trace */
    }
    assert_int_equal(shared->heard, BEFORE + 2);
    assert_true(states > 20);
    (void)munmap(shared, sizeof *shared);
}

/* ---- tokens ---- */

static void test_events_token_of_the_last_one_seen_goes_on_behind_it(void **state)
{
    struct events *events = new_ring();
    struct events_place place;

    (void)state;
    for (int i = 0; i < 3; i++)
        append(events, 10);
    events_tell(events);
    for (uint64_t number = 0; number <= 3; number++) {
        char token[EVENTS_TOKEN_SIZE];

        events_token(events, number, token);
        assert_int_equal(events_find(events, token, &place), 0);
        assert_false(place.has_gap);
        assert_int_equal(place.next, number + 1);
    }
    events_close(events);
}

static void test_events_token_of_an_event_to_come_is_a_gap(void **state)
{
    struct events *events = new_ring();
    struct events_place place;

    (void)state;
    append(events, 10);
    events_tell(events);
    append(events, 10);
    assert_int_equal(events_find(events, "0000000000001234-2", &place), 0);
    assert_true(place.has_gap);
    assert_int_equal(place.lost, 0);
    assert_int_equal(place.next, 2);
    events_close(events);
}

static void test_events_token_is_refused_unless_it_is_one(void **state)
{
    static const char *const tokens[] = {"", "-", "1-1", "000000000000123-1", "0000000000001234",
        "0000000000001234-", "0000000000001234-01", "0000000000001234-00", "0000000000001234--1",
        "0000000000001234-+1", "0000000000001234-1 ", " 0000000000001234-1", "0000000000001234-1a",
        "000000000000123G-1", "000000000000ABCD-1", "0000000000001234_1",
        "0000000000001234-18446744073709551616", "00000000000012341-1",
        "0000000000001234-99999999999999999999999999", "0000000000001234-1-1"};
    struct events *events = new_ring();
    struct events_place place;

    (void)state;
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++)
        assert_int_equal(events_find(events, tokens[i], &place), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(events_find(events, "ffffffffffffffff-18446744073709551615", &place), 0);
    events_close(events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_fresh_ring_has_none),
        cmocka_unit_test(test_events_are_numbered_and_read_once_told),
        cmocka_unit_test(test_events_without_memory_of_the_keeper_has_its_own),
        cmocka_unit_test(test_events_memory_that_is_too_small_is_refused),
        cmocka_unit_test(test_events_full_ring_forgets_the_oldest_and_says_how_many),
        cmocka_unit_test(test_events_every_remembered_one_is_whole_through_many_laps),
        cmocka_unit_test(test_events_limit_of_4096_is_kept_however_small_they_are),
        cmocka_unit_test(test_events_longer_than_the_limit_leave_a_hole_that_is_told),
        cmocka_unit_test(test_events_survive_flocksd),
        cmocka_unit_test(test_events_beyond_the_state_are_written_again),
        cmocka_unit_test(test_events_written_again_after_a_wrap_are_not_mistaken_for_the_first_try),
        cmocka_unit_test(test_events_kept_but_not_told_are_told_by_the_next),
        cmocka_unit_test(test_events_told_but_not_kept_begin_a_new_epoch),
        cmocka_unit_test(test_events_without_a_state_begin_a_new_epoch),
        cmocka_unit_test(test_events_damaged_anywhere_are_never_told),
        cmocka_unit_test(test_events_flocksd_killed_at_any_instruction_leaves_a_whole_ring),
        cmocka_unit_test(test_events_token_of_the_last_one_seen_goes_on_behind_it),
        cmocka_unit_test(test_events_token_of_an_event_to_come_is_a_gap),
        cmocka_unit_test(test_events_token_is_refused_unless_it_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
