/* One pass for many sets, on real processes that try to escape theirs. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "children.h"
#include "server/supervise/proc_file.h"
#include "server/supervise/process_sweep.h"
#include "shortage.h"

enum {
    SETS_MAX = 8,
    NOBODY = 65534,
    /* The runner's own end: far beyond what a chase needs. */
    RUNNER_STEPS = 20000,
    RUNNER_HEAD_START = 50,
    PASSES_MAX = 2000
};

/* Not those of other tests: marks are looked for in the whole machine, and tests run side by side.
 */
static const char invocation[] = "a1b2c3d4e5f60718293a4b5c6d7e8f90";
static const char other_invocation[] = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

static struct process_sweep *sweep;
static struct process_question questions[SETS_MAX];
static struct process_answer answers[SETS_MAX];

static int set_up(void **state)
{
    (void)state;
    children_begin();
    memset(questions, 0, sizeof questions);
    return process_sweep_new(&sweep, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    children_end();
    process_sweep_free(sweep);
    return 0;
}

static const struct process_found *run(size_t n, size_t *out_n)
{
    assert_int_equal(process_sweep_run(sweep, questions, answers, n, NULL, NULL), 0);
    return process_sweep_found(sweep, out_n);
}

static bool take_mark(const char *of)
{
    struct rlimit mark;
    return process_mark_choose(of, &mark, NULL) == 0 && setrlimit(RLIMIT_RTTIME, &mark) == 0;
}

static uint64_t mark_of(const char *of)
{
    struct rlimit mark;
    assert_int_equal(process_mark_choose(of, &mark, NULL), 0);
    return (uint64_t)mark.rlim_cur;
}

/* ---- families ---- */

/* How a leader's child runs from it; the child writes its pid when it has. */
struct family {
    int ready[2];
    bool is_marked;
    const char *child_mark; /* the child's own, instead */
    bool child_has_session;
    bool child_is_orphan;
    bool child_is_dead;
    bool child_is_hidden;
    bool child_is_roots;
    bool leader_exits;
};

static int child_waits(const struct family *family)
{
    pid_t pid = getpid();
    if (family->child_has_session)
        (void)setsid();
    if (family->child_is_orphan && fork() != 0)
        return 0;
    while (family->child_is_orphan && getppid() == pid)
        (void)usleep(1000);
    if (family->child_mark != NULL && !take_mark(family->child_mark))
        return 1;
    if (family->child_is_hidden)
        (void)prctl(PR_SET_DUMPABLE, 0);
    pid = getpid();
    if (write(family->ready[1], &pid, sizeof pid) != sizeof pid)
        return 1;
    return family->child_is_dead ? 0 : children_wait(NULL);
}

static int lead(void *context)
{
    const struct family *family = context;
    if (family->is_marked && !take_mark(invocation))
        return 1;
    pid_t child = fork();
    if (child == 0)
        _exit(child_waits(family));
    if (family->child_is_orphan)
        (void)waitpid(child, NULL, 0);
    return family->leader_exits ? 0 : children_wait(NULL);
}

/* The set's question, and its child's pid. */
static struct process_question begin(struct family *family, pid_t *out_child)
{
    struct process_question question = {.wish = PROCESS_LOOK};
    struct proc_stat stat;
    assert_int_equal(pipe(family->ready), 0);
    pid_t leader = children_run(lead, family);
    assert_int_equal(proc_stat_read(leader, &stat), 0);
    question.identity.leader = (struct process_id){.pid = leader, .start_ticks = stat.start_ticks};
    if (family->is_marked)
        question.identity.mark = mark_of(invocation);
    assert_int_equal(read(family->ready[0], out_child, sizeof *out_child), sizeof *out_child);
    close(family->ready[0]);
    close(family->ready[1]);
    if (family->leader_exits)
        assert_int_equal(children_reap(leader), 0);
    return question;
}

static void wait_until_dead(pid_t pid)
{
    struct proc_stat stat;
    while (proc_stat_read(pid, &stat) == 0 && !stat.is_dead)
        (void)usleep(1000);
}

/* ---- what is found ---- */

static void test_pass_answers_each_set(void **state)
{
    (void)state;
    struct family families[3] = {
        {.is_marked = false}, {.child_has_session = true}, {.is_marked = false}};
    pid_t child = 0;
    for (size_t i = 0; i < 3; i++)
        questions[i] = begin(&families[i], &child);
    children_kill(questions[2].identity.leader.pid);
    size_t n = 0;
    (void)run(3, &n);
    assert_int_equal(answers[0].n_members, 2);
    assert_int_equal(answers[1].n_members, 2);
    assert_int_equal(answers[2].n_members, 1);
    assert_int_equal(n, 5);
    for (size_t i = 0; i < 3; i++)
        assert_true(answers[i].is_complete);
}

static void test_pass_supervisor_1101_kills_the_double_forked_daemon(void **state)
{
    (void)state;
    struct family family = {.is_marked = true,
        .child_has_session = true,
        .child_is_orphan = true,
        .leader_exits = true};
    pid_t child = 0;
    size_t n = 0;
    questions[0] = begin(&family, &child);
    questions[0].wish = PROCESS_KILL;
    const struct process_found *found = run(1, &n);
    assert_int_equal(n, 1);
    assert_int_equal(found[0].member.id.pid, child);
    assert_int_equal(found[0].signal_number, SIGKILL);
    assert_true(process_found_is_stray(&found[0]));
    assert_non_null(strstr(found[0].member.executable, "test_process_sweep"));
    assert_int_equal(children_reap(child), -1);
    (void)run(1, &n);
    assert_int_equal(answers[0].n_members, 0);
    assert_int_equal(answers[0].n_dead, 0);
}

static void test_pass_tells_strays_only_and_wakes_them(void **state)
{
    (void)state;
    struct family family = {.is_marked = true, .child_has_session = true, .child_is_orphan = true};
    pid_t child = 0;
    size_t n = 0;
    questions[0] = begin(&family, &child);
    questions[0].wish = PROCESS_TELL_STRAYS;
    questions[0].signal_number = SIGTERM;
    (void)kill(child, SIGSTOP);
    const struct process_found *found = run(1, &n);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(found[i].signal_number, found[i].member.id.pid == child ? SIGTERM : 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void test_pass_leaves_a_recycled_leader_number_alone(void **state)
{
    (void)state;
    struct family family = {.is_marked = false};
    pid_t child = 0;
    size_t n = 0;
    questions[0] = begin(&family, &child);
    questions[0].identity.leader.start_ticks -= 1;
    questions[0].wish = PROCESS_KILL;
    (void)run(1, &n);
    assert_int_equal(n, 0);
    assert_int_equal(kill(child, 0), 0);
}

/* The leader's number was free for a moment and became another generation's, which has ended since,
 * too. */
static void test_pass_leaves_members_of_another_mark_alone(void **state)
{
    (void)state;
    struct family family = {.child_mark = other_invocation, .leader_exits = true};
    pid_t child = 0;
    size_t n = 0;
    questions[0] = begin(&family, &child);
    questions[0].identity.mark = mark_of(invocation);
    questions[0].wish = PROCESS_KILL;
    (void)run(1, &n);
    assert_int_equal(n, 0);
    assert_int_equal(kill(child, 0), 0);
}

static void test_pass_finds_the_dead_that_nobody_reaped(void **state)
{
    (void)state;
    struct family family = {.is_marked = true, .child_is_dead = true, .leader_exits = true};
    pid_t child = 0;
    size_t n = 0;
    questions[0] = begin(&family, &child);
    wait_until_dead(child);
    (void)run(1, &n);
    uint64_t sum = answers[0].dead_sum;
    assert_int_equal(answers[0].n_members, 0);
    assert_int_equal(answers[0].n_dead, 1);
    (void)run(1, &n);
    assert_int_equal(answers[0].n_dead, 1);
    assert_true(answers[0].dead_sum == sum);
    assert_int_equal(children_reap(child), 0);
}

/* Who opens nothing cannot be read: that proves nothing about the set. */
static void test_pass_short_of_descriptors_is_incomplete(void **state)
{
    (void)state;
    struct family family = {.is_marked = false};
    struct shortage shortage;
    pid_t child = 0;
    size_t n = 0;
    questions[0] = begin(&family, &child);
    /* For /proc itself, and nothing in it. */
    shortage_begin(&shortage, 1);
    (void)run(1, &n);
    shortage_end(&shortage);
    assert_false(answers[0].is_complete);
    (void)run(1, &n);
    assert_int_equal(answers[0].n_members, 2);
    assert_true(answers[0].is_complete);
}

static void test_pass_that_is_stopped_is_incomplete(void **state)
{
    (void)state;
    atomic_bool stop = true;
    struct family family = {.is_marked = false};
    pid_t child = 0;
    questions[0] = begin(&family, &child);
    assert_int_equal(process_sweep_run(sweep, questions, answers, 1, &stop, NULL), 0);
    assert_false(answers[0].is_complete);
}

/* ---- as an ordinary user ---- */

static int become_nobody(void)
{
    return getuid() != 0 || setresuid(NOBODY, NOBODY, NOBODY) == 0 ? 0 : 1;
}

static int kill_who_hides(void *context)
{
    struct family family = {.is_marked = true,
        .child_has_session = true,
        .child_is_orphan = true,
        .child_is_hidden = true,
        .leader_exits = true};
    pid_t child = 0;
    size_t n = 0;
    (void)context;
    children_begin();
    if (become_nobody() != 0)
        return 1;
    questions[0] = begin(&family, &child);
    questions[0].wish = PROCESS_KILL;
    const struct process_found *found = run(1, &n);
    if (n != 1 || found[0].member.id.pid != child || found[0].signal_number != SIGKILL)
        return 2;
    return waitpid(child, NULL, 0) == child ? 0 : 3;
}

static void test_pass_kills_who_is_not_dumpable(void **state)
{
    (void)state;
    assert_int_equal(children_reap(children_run(kill_who_hides, NULL)), 0);
}

static int kill_who_is_roots(void *context)
{
    struct family family = {.is_marked = true, .child_has_session = true};
    pid_t child = 0;
    size_t n = 0;
    (void)context;
    questions[0] = begin(&family, &child);
    questions[0].wish = PROCESS_KILL;
    if (become_nobody() != 0)
        return 1;
    const struct process_found *found = run(1, &n);
    bool is_refused = n == 2 && answers[0].n_members == 2 && answers[0].n_refused == 2 &&
                      found[0].signal_number == 0 && found[0].system_error == EPERM;
    return is_refused ? 0 : 2;
}

/* Nobody may call the set of a setuid program empty because it could not be killed. */
static void test_pass_reports_who_may_not_be_signalled(void **state)
{
    (void)state;
    if (getuid() != 0)
        skip();
    assert_int_equal(children_reap(children_run(kill_who_is_roots, NULL)), 0);
}

/* ---- the chase ---- */

static int run_away(void *context)
{
    (void)context;
    if (!take_mark(invocation))
        return 1;
    for (int step = 0; step < RUNNER_STEPS; step++) {
        if (fork() != 0)
            _exit(0);
        (void)setsid();
    }
    return 0;
}

static void reap_all(unsigned *reaped)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        (*reaped)++;
}

static void test_chase_catches_who_is_always_another_process(void **state)
{
    (void)state;
    struct family family = {.is_marked = true, .leader_exits = true};
    unsigned reaped = 0;
    unsigned passes = 0;
    unsigned quiet = 0;
    size_t n = 0;
    pid_t child = 0;
    questions[0] = begin(&family, &child);
    questions[0].wish = PROCESS_KILL;
    questions[0].chases = true;
    children_kill(child);
    (void)children_run(run_away, NULL);
    while (reaped < RUNNER_HEAD_START)
        reap_all(&reaped);
    for (; quiet < 3 && passes < PASSES_MAX; passes++) {
        unsigned before = reaped;
        (void)run(1, &n);
        reap_all(&reaped);
        quiet = reaped == before && answers[0].n_members == 0 ? quiet + 1 : 0;
    }
    assert_true(passes < PASSES_MAX);
    print_message("caught after %u of %d steps\n", reaped, RUNNER_STEPS);
    assert_true(reaped < RUNNER_STEPS);
}

/* ---- proof ---- */

static struct process_pass clean_pass(void)
{
    return (struct process_pass){
        .answer = {.is_complete = true}, .strays_before = 7, .strays_after = 7};
}

static void test_proof_needs_a_complete_pass_that_met_nobody(void **state)
{
    (void)state;
    struct process_pass pass = clean_pass();
    assert_true(process_pass_proves_empty(NULL, &pass));
    pass.answer.n_members = 1;
    assert_false(process_pass_proves_empty(NULL, &pass));
    pass = clean_pass();
    pass.answer.is_complete = false;
    assert_false(process_pass_proves_empty(NULL, &pass));
}

static void test_proof_needs_that_no_orphan_was_reaped(void **state)
{
    (void)state;
    struct process_pass pass = clean_pass();
    pass.strays_after = 8;
    assert_false(process_pass_proves_empty(NULL, &pass));
}

static void test_proof_needs_that_the_dead_were_dead_before(void **state)
{
    (void)state;
    struct process_pass pass = clean_pass();
    pass.answer.n_dead = 1;
    pass.answer.dead_sum = 5;
    struct process_pass earlier = pass;
    assert_false(process_pass_proves_empty(NULL, &pass));
    assert_true(process_pass_proves_empty(&earlier, &pass));
    earlier.answer.dead_sum = 6;
    assert_false(process_pass_proves_empty(&earlier, &pass));
    earlier = pass;
    earlier.answer.is_complete = false;
    assert_false(process_pass_proves_empty(&earlier, &pass));
}

#define WITH_PROCESSES(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PROCESSES(test_pass_answers_each_set),
        WITH_PROCESSES(test_pass_supervisor_1101_kills_the_double_forked_daemon),
        WITH_PROCESSES(test_pass_tells_strays_only_and_wakes_them),
        WITH_PROCESSES(test_pass_leaves_a_recycled_leader_number_alone),
        WITH_PROCESSES(test_pass_leaves_members_of_another_mark_alone),
        WITH_PROCESSES(test_pass_finds_the_dead_that_nobody_reaped),
        WITH_PROCESSES(test_pass_short_of_descriptors_is_incomplete),
        WITH_PROCESSES(test_pass_that_is_stopped_is_incomplete),
        WITH_PROCESSES(test_pass_kills_who_is_not_dumpable),
        WITH_PROCESSES(test_pass_reports_who_may_not_be_signalled),
        WITH_PROCESSES(test_chase_catches_who_is_always_another_process),
        cmocka_unit_test(test_proof_needs_a_complete_pass_that_met_nobody),
        cmocka_unit_test(test_proof_needs_that_no_orphan_was_reaped),
        cmocka_unit_test(test_proof_needs_that_the_dead_were_dead_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
