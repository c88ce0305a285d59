/* Passes on a thread of their own, shared by all who ask. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "children.h"
#include "common/base/clock.h"
#include "patience.h"
#include "server/supervise/proc_file.h"
#include "server/supervise/sweeper.h"

enum { SETS = 40 };

struct world {
    uv_loop_t loop;
    struct sweeper *sweeper;
    uint64_t strays;
    uint64_t strays_per_look;
    unsigned closed;
};

/* A set, and what it was answered. */
struct watcher {
    struct world *world;
    struct sweep sweep;
    struct process_question question;
    unsigned answers;
    unsigned wanted; /* it asks again until so many have come */
    bool is_empty;
    size_t n_members;
    size_t n_killed;
    struct watcher *cancels;
};

static uint64_t count_strays(void *data, uint64_t mark)
{
    struct world *world = data;
    (void)mark;
    world->strays += world->strays_per_look;
    return world->strays;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    children_begin();
    assert_int_equal(uv_loop_init(&world->loop), 0);
    const struct sweeper_setup setup = {
        .loop = &world->loop, .strays = count_strays, .data = world};
    assert_int_equal(sweeper_new(&setup, &world->sweeper, NULL), 0);
    *state = world;
    return 0;
}

static void on_closed(void *data)
{
    ((struct world *)data)->closed++;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    sweeper_close(world->sweeper, on_closed, world);
    assert_int_equal(world->closed, 0);
    assert_int_equal(uv_run(&world->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(world->closed, 1);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    children_end();
    free(world);
    return 0;
}

static void on_answer(struct sweep *sweep, const struct sweep_answer *answer)
{
    struct watcher *watcher = sweep->data;
    watcher->answers++;
    watcher->is_empty = answer->is_empty;
    watcher->n_members = answer->n_members;
    for (size_t i = 0; i < answer->n_found; i++)
        watcher->n_killed += answer->found[i].signal_number == SIGKILL ? 1 : 0;
    if (watcher->cancels != NULL)
        sweep_cancel(&watcher->cancels->sweep);
    if (watcher->answers < watcher->wanted)
        sweep_ask(sweep, &watcher->question);
}

static void watch(struct world *world, struct watcher *watcher, pid_t leader)
{
    *watcher = (struct watcher){.world = world, .wanted = 1};
    watcher->question.identity = children_identity(leader);
    sweep_init(&watcher->sweep, world->sweeper, on_answer, watcher);
}

static void run_until(struct world *world, const unsigned *counter, unsigned wanted)
{
    RUN_UNTIL(&world->loop, *counter >= wanted);
}

/* Nearly always its pass runs afterwards; that it may have ended is as good. */
static void let_it_begin(const struct watcher *watcher)
{
    while (watcher->sweep.phase == SWEEP_WAITING)
        (void)uv_run(&watcher->world->loop, UV_RUN_NOWAIT);
}

static void test_asking_is_answered_later_and_once(void **state)
{
    struct world *world = *state;
    struct watcher watcher;
    watch(world, &watcher, children_run(children_wait, NULL));
    sweep_ask(&watcher.sweep, &watcher.question);
    assert_int_equal(watcher.answers, 0);
    run_until(world, &watcher.answers, 1);
    assert_int_equal(watcher.n_members, 1);
    assert_false(watcher.is_empty);
    assert_int_equal(uv_run(&world->loop, UV_RUN_NOWAIT) >= 0, 1);
    assert_int_equal(watcher.answers, 1);
}

static void test_many_sets_share_passes(void **state)
{
    struct world *world = *state;
    static struct watcher watchers[SETS];
    unsigned n = 0;
    for (size_t i = 0; i < SETS; i++) {
        watch(world, &watchers[i], children_run(children_wait, NULL));
        watchers[i].question.wish = PROCESS_KILL;
        sweep_ask(&watchers[i].sweep, &watchers[i].question);
    }
    for (size_t i = 0; i < SETS; i++)
        run_until(world, &watchers[i].answers, 1);
    for (size_t i = 0; i < SETS; i++)
        n += watchers[i].n_killed == 1 ? 1 : 0;
    assert_int_equal(n, SETS);
}

static void test_set_is_empty_when_nobody_is_left(void **state)
{
    struct world *world = *state;
    struct watcher watcher;
    pid_t leader = children_run(children_wait, NULL);
    watch(world, &watcher, leader);
    children_kill(leader);
    sweep_ask(&watcher.sweep, &watcher.question);
    run_until(world, &watcher.answers, 1);
    assert_true(watcher.is_empty);
}

/* Fork storms: a clean pass alone was a false "empty" in 7 of 140 runs. */
static void test_set_is_not_empty_while_its_orphans_are_reaped(void **state)
{
    struct world *world = *state;
    struct watcher watcher;
    pid_t leader = children_run(children_wait, NULL);
    watch(world, &watcher, leader);
    watcher.wanted = 4 * SWEEP_UNCOUNTED_PASSES;
    children_kill(leader);
    world->strays_per_look = 1;
    sweep_ask(&watcher.sweep, &watcher.question);
    run_until(world, &watcher.answers, watcher.wanted);
    assert_false(watcher.is_empty);
    world->strays_per_look = 0;
    watcher.wanted++;
    sweep_ask(&watcher.sweep, &watcher.question);
    run_until(world, &watcher.answers, watcher.wanted);
    assert_true(watcher.is_empty);
}

/* The keeper that was killed counted its orphans; nobody does now. */
static void test_uncounted_set_is_empty_after_several_passes(void **state)
{
    struct world *world = *state;
    struct watcher watcher;
    pid_t leader = children_run(children_wait, NULL);
    watch(world, &watcher, leader);
    watcher.question.is_uncounted = true;
    watcher.wanted = SWEEP_UNCOUNTED_PASSES - 1;
    children_kill(leader);
    sweep_ask(&watcher.sweep, &watcher.question);
    run_until(world, &watcher.answers, watcher.wanted);
    assert_false(watcher.is_empty);
    watcher.wanted++;
    sweep_ask(&watcher.sweep, &watcher.question);
    run_until(world, &watcher.answers, watcher.wanted);
    assert_true(watcher.is_empty);
}

static void test_cancelled_asking_is_not_answered(void **state)
{
    struct world *world = *state;
    struct watcher cancelled;
    struct watcher other;
    watch(world, &cancelled, children_run(children_wait, NULL));
    watch(world, &other, children_run(children_wait, NULL));
    sweep_ask(&cancelled.sweep, &cancelled.question);
    sweep_ask(&other.sweep, &other.question);
    sweep_cancel(&cancelled.sweep);
    run_until(world, &other.answers, 1);
    assert_int_equal(cancelled.answers, 0);
}

static void test_answer_may_cancel_another_of_its_pass(void **state)
{
    struct world *world = *state;
    struct watcher first;
    struct watcher second;
    watch(world, &first, children_run(children_wait, NULL));
    watch(world, &second, children_run(children_wait, NULL));
    first.cancels = &second;
    second.cancels = &first;
    first.wanted = second.wanted = 2;
    sweep_ask(&first.sweep, &first.question);
    sweep_ask(&second.sweep, &second.question);
    run_until(world, &first.answers, 2);
    assert_int_equal(second.answers, 0);
}

static void test_question_during_its_pass_is_answered_too(void **state)
{
    struct world *world = *state;
    struct watcher watcher;
    watch(world, &watcher, children_run(children_wait, NULL));
    sweep_ask(&watcher.sweep, &watcher.question);
    let_it_begin(&watcher);
    watcher.question.wish = PROCESS_KILL;
    sweep_ask(&watcher.sweep, &watcher.question);
    run_until(world, &watcher.answers, 2);
    assert_int_equal(watcher.n_killed, 1);
}

static void test_another_set_begins_anew(void **state)
{
    struct world *world = *state;
    struct watcher watcher;
    pid_t leader = children_run(children_wait, NULL);
    watch(world, &watcher, leader);
    sweep_ask(&watcher.sweep, &watcher.question);
    let_it_begin(&watcher);
    watcher.answers = 0;
    children_kill(leader);
    watcher.question.identity.leader.start_ticks++;
    sweep_ask(&watcher.sweep, &watcher.question);
    run_until(world, &watcher.answers, 1);
    assert_true(watcher.is_empty);
    assert_int_equal(watcher.answers, 1);
}

static void test_idle_set_is_looked_at_less_and_less_until_hurried(void **state)
{
    struct world *world = *state;
    struct watcher watcher;
    int64_t asked_at;
    watch(world, &watcher, children_run(children_wait, NULL));
    watcher.wanted = 8;
    sweep_ask(&watcher.sweep, &watcher.question);
    run_until(world, &watcher.answers, watcher.wanted);
    assert_true(watcher.sweep.pace_ms >= 64);
    watcher.wanted = 9;
    asked_at = clock_monotonic_ms();
    sweep_ask(&watcher.sweep, &watcher.question);
    assert_true(watcher.sweep.due_at > asked_at);
    sweep_hurry(&watcher.sweep);
    assert_true(watcher.sweep.due_at <= clock_monotonic_ms());
    run_until(world, &watcher.answers, 9);
}

static void test_burial_kills_what_is_left(void **state)
{
    struct world *world = *state;
    pid_t leader = children_run(children_wait, NULL);
    const struct process_identity identity = children_identity(leader);
    sweeper_bury(world->sweeper, &identity, "a probe");
    RUN_UNTIL(&world->loop, waitpid(leader, NULL, WNOHANG) == leader);
}

static void test_close_while_a_pass_runs(void **state)
{
    struct world *world = *state;
    static struct watcher watcher;
    watch(world, &watcher, children_run(children_wait, NULL));
    sweep_ask(&watcher.sweep, &watcher.question);
    let_it_begin(&watcher);
    sweeper_bury(world->sweeper, &watcher.question.identity, "what is given up");
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(test_asking_is_answered_later_and_once),
        WITH_WORLD(test_many_sets_share_passes),
        WITH_WORLD(test_set_is_empty_when_nobody_is_left),
        WITH_WORLD(test_set_is_not_empty_while_its_orphans_are_reaped),
        WITH_WORLD(test_uncounted_set_is_empty_after_several_passes),
        WITH_WORLD(test_cancelled_asking_is_not_answered),
        WITH_WORLD(test_answer_may_cancel_another_of_its_pass),
        WITH_WORLD(test_question_during_its_pass_is_answered_too),
        WITH_WORLD(test_another_set_begins_anew),
        WITH_WORLD(test_idle_set_is_looked_at_less_and_less_until_hurried),
        WITH_WORLD(test_burial_kills_what_is_left),
        WITH_WORLD(test_close_while_a_pass_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
