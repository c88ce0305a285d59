/* Real processes that try to escape their generation, as the keeper's strays would. */
#include <setjmp.h>
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
#include "server/supervise/process_set.h"
#include "shortage.h"

enum { MEMBERS_MAX = 16 };

static const char invocation[] = "00112233445566778899aabbccddeeff";

static struct process_scan *scan;

static int set_up(void **state)
{
    (void)state;
    children_begin();
    return process_scan_new(&scan, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    children_end();
    process_scan_free(scan);
    return 0;
}

/* What a generation's leader does; every living process of it writes its pid to `ready` at the end.
 */
struct plan {
    int ready[2];
    bool is_marked;
    bool has_invocation;
    bool clears_environment;
    bool leader_exits;
    enum { ALONE, CHILD_IN_GROUP, CHILD_IN_SESSION, GRANDCHILD_ORPHANED } shape;
};

/* Becomes a fresh image that says that it is ready and waits, as in main(). */
static int become_waiter(const struct plan *plan, bool keeps_environment)
{
    char descriptor[16];
    char variable[64];
    char name[] = "waiter";
    char *arguments[] = {name, descriptor, NULL};
    char *environment[] = {variable, NULL};
    (void)snprintf(descriptor, sizeof descriptor, "%d", plan->ready[1]);
    (void)snprintf(variable, sizeof variable, "FLOCKS_INVOCATION_ID=%s", invocation);
    if (!keeps_environment)
        environment[0] = NULL;
    (void)execve("/proc/self/exe", arguments, environment);
    return 1;
}

static int run_waiter(int ready)
{
    pid_t pid = getpid();
    if (write(ready, &pid, sizeof pid) != sizeof pid)
        return 1;
    return children_wait(NULL);
}

static int escape(const struct plan *plan)
{
    (void)setsid();
    pid_t grandchild = fork();
    if (grandchild == 0)
        return become_waiter(plan, plan->has_invocation && !plan->clears_environment);
    return 0;
}

static int run_plan(void *context)
{
    const struct plan *plan = context;
    struct rlimit mark;
    if (plan->is_marked &&
        (process_mark_choose(invocation, &mark, NULL) != 0 || setrlimit(RLIMIT_RTTIME, &mark) != 0))
        return 1;
    if (plan->shape != ALONE) {
        pid_t child = fork();
        if (child == 0) {
            if (plan->shape == GRANDCHILD_ORPHANED)
                _exit(escape(plan));
            if (plan->shape == CHILD_IN_SESSION)
                (void)setpgid(0, 0);
            _exit(become_waiter(plan, plan->has_invocation));
        }
        if (plan->shape == GRANDCHILD_ORPHANED)
            (void)waitpid(child, NULL, 0);
    }
    return plan->leader_exits ? 0 : become_waiter(plan, plan->has_invocation);
}

/* Starts the generation and waits until `out_pids` of its processes are ready. */
static struct process_identity run_generation(struct plan *plan, pid_t *out_pids, size_t count)
{
    struct process_identity identity = {.mark = 0};
    struct rlimit mark;
    assert_int_equal(pipe(plan->ready), 0);
    pid_t leader = children_run(run_plan, plan);
    /* Not reaped yet, so the number is its own even if it has exited. */
    struct proc_stat stat;
    assert_int_equal(proc_stat_read(leader, &stat), 0);
    identity.leader = (struct process_id){.pid = leader, .start_ticks = stat.start_ticks};
    if (plan->has_invocation)
        memcpy(identity.invocation, invocation, sizeof invocation);
    if (plan->is_marked) {
        assert_int_equal(process_mark_choose(invocation, &mark, NULL), 0);
        identity.mark = mark.rlim_cur;
    }
    close(plan->ready[1]);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(
            read(plan->ready[0], &out_pids[i], sizeof out_pids[i]), sizeof out_pids[i]);
    close(plan->ready[0]);
    if (plan->leader_exits)
        assert_int_equal(children_reap(leader), 0);
    return identity;
}

static size_t select_members(
    const struct process_identity *identity, struct process_member members[MEMBERS_MAX])
{
    size_t count = 0;
    assert_int_equal(process_scan_run(scan, NULL), 0);
    assert_int_equal(process_scan_select(scan, identity, members, MEMBERS_MAX, &count, NULL), 0);
    return count;
}

static const struct process_member *member_with(
    const struct process_member *members, size_t count, pid_t pid)
{
    for (size_t i = 0; i < count; i++) {
        if (members[i].id.pid == pid)
            return &members[i];
    }
    fail_msg("pid %d is not among the %zu members", (int)pid, count);
    return NULL;
}

/* --- Scan ----------------------------------------------------------------------------------------
 */

static void test_scan_leader_alone_is_found(void **state)
{
    (void)state;
    struct plan plan = {.shape = ALONE};
    struct process_member members[MEMBERS_MAX];
    pid_t pids[1];
    struct process_identity identity = run_generation(&plan, pids, 1);
    assert_int_equal(select_members(&identity, members), 1);
    assert_int_equal(members[0].id.pid, pids[0]);
    assert_true(members[0].id.start_ticks == identity.leader.start_ticks);
    assert_int_equal(
        members[0].evidence, PROCESS_IS_LEADER | PROCESS_IN_GROUP | PROCESS_IN_SESSION);
    assert_int_equal(members[0].parent, getpid());
    assert_non_null(strstr(members[0].executable, "test_process_set"));
}

static void test_scan_child_in_own_group_is_found_by_session(void **state)
{
    (void)state;
    struct plan plan = {.shape = CHILD_IN_SESSION, .leader_exits = true};
    struct process_member members[MEMBERS_MAX];
    pid_t pids[1];
    struct process_identity identity = run_generation(&plan, pids, 1);
    assert_int_equal(select_members(&identity, members), 1);
    assert_int_equal(member_with(members, 1, pids[0])->evidence, PROCESS_IN_SESSION);
}

static void test_scan_orphan_in_new_session_is_found_by_mark(void **state)
{
    (void)state;
    struct plan plan = {.shape = GRANDCHILD_ORPHANED,
        .is_marked = true,
        .has_invocation = true,
        .clears_environment = true};
    struct process_member members[MEMBERS_MAX];
    pid_t pids[2];
    struct process_identity identity = run_generation(&plan, pids, 2);
    assert_int_equal(select_members(&identity, members), 2);
    pid_t orphan = pids[0] == identity.leader.pid ? pids[1] : pids[0];
    assert_int_equal(member_with(members, 2, orphan)->evidence, PROCESS_HAS_MARK);
}

static void test_scan_orphan_in_new_session_is_found_by_environment(void **state)
{
    (void)state;
    struct plan plan = {.shape = GRANDCHILD_ORPHANED, .has_invocation = true};
    struct process_member members[MEMBERS_MAX];
    pid_t pids[2];
    struct process_identity identity = run_generation(&plan, pids, 2);
    assert_int_equal(select_members(&identity, members), 2);
    pid_t orphan = pids[0] == identity.leader.pid ? pids[1] : pids[0];
    assert_int_equal(member_with(members, 2, orphan)->evidence, PROCESS_HAS_INVOCATION);
}

static int fork_into_new_session(void *context)
{
    const int *ready = context;
    pid_t child = fork();
    if (child == 0) {
        (void)setsid();
        return run_waiter(ready[1]);
    }
    return children_wait(NULL);
}

static void test_scan_setsid_child_is_found_by_descent(void **state)
{
    (void)state;
    int ready[2];
    pid_t child = 0;
    struct process_member members[MEMBERS_MAX];
    assert_int_equal(pipe(ready), 0);
    pid_t leader = children_run(fork_into_new_session, ready);
    assert_int_equal(read(ready[0], &child, sizeof child), sizeof child);
    struct process_identity identity = children_identity(leader);
    assert_int_equal(select_members(&identity, members), 2);
    assert_int_equal(member_with(members, 2, child)->evidence, PROCESS_IS_DESCENDANT);
    close(ready[0]);
    close(ready[1]);
}

static void test_scan_recycled_leader_number_proves_nothing(void **state)
{
    (void)state;
    struct plan plan = {.shape = CHILD_IN_GROUP};
    struct process_member members[MEMBERS_MAX];
    pid_t pids[2];
    struct process_identity identity = run_generation(&plan, pids, 2);
    assert_int_equal(select_members(&identity, members), 2);
    identity.leader.start_ticks -= 1;
    assert_int_equal(select_members(&identity, members), 0);
}

static void test_scan_serves_many_generations(void **state)
{
    (void)state;
    struct process_member members[MEMBERS_MAX];
    struct plan plans[3] = {{.shape = ALONE}, {.shape = CHILD_IN_GROUP}, {.shape = ALONE}};
    const size_t sizes[] = {1, 2, 1};
    struct process_identity identities[3];
    pid_t pids[2];
    for (size_t i = 0; i < 3; i++)
        identities[i] = run_generation(&plans[i], pids, sizes[i]);
    assert_int_equal(process_scan_run(scan, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        size_t count = 0;
        assert_int_equal(
            process_scan_select(scan, &identities[i], members, MEMBERS_MAX, &count, NULL), 0);
        assert_int_equal(count, sizes[i]);
    }
}

static void test_scan_counts_beyond_capacity(void **state)
{
    (void)state;
    struct plan plan = {.shape = CHILD_IN_GROUP};
    struct process_member member;
    pid_t pids[2];
    size_t count = 0;
    struct process_identity identity = run_generation(&plan, pids, 2);
    assert_int_equal(process_scan_run(scan, NULL), 0);
    assert_int_equal(process_scan_select(scan, &identity, &member, 1, &count, NULL), 0);
    assert_int_equal(count, 2);
}

/* --- Fast answer ---------------------------------------------------------------------------------
 */

static void test_fast_dead_generation_is_empty(void **state)
{
    (void)state;
    struct plan plan = {.shape = ALONE, .is_marked = true};
    struct process_sessions sessions;
    pid_t pids[1];
    process_sessions_init(&sessions);
    struct process_identity identity = run_generation(&plan, pids, 1);
    assert_true(process_sessions_add(&sessions, identity.leader.pid));
    assert_int_equal(process_set_is_empty_fast(&identity, &sessions), PROCESS_SET_OCCUPIED);
    children_kill(identity.leader.pid);
    assert_int_equal(process_set_is_empty_fast(&identity, &sessions), PROCESS_SET_EMPTY);
}

/* What cannot be read is not gone. */
static void test_fast_short_of_descriptors_is_unsure(void **state)
{
    (void)state;
    struct plan plan = {.shape = ALONE, .is_marked = true};
    struct process_sessions sessions;
    struct shortage shortage;
    pid_t pids[1];
    process_sessions_init(&sessions);
    struct process_identity identity = run_generation(&plan, pids, 1);
    assert_true(process_sessions_add(&sessions, identity.leader.pid));
    /* For /proc itself, and nothing in it. */
    shortage_begin(&shortage, 1);
    enum process_emptiness answer = process_set_is_empty_fast(&identity, &sessions);
    shortage_end(&shortage);
    assert_int_equal(answer, PROCESS_SET_UNSURE);
}

static void expect_fast(struct plan plan, enum process_emptiness expected)
{
    struct process_sessions sessions;
    pid_t pids[1];
    process_sessions_init(&sessions);
    plan.leader_exits = true;
    struct process_identity identity = run_generation(&plan, pids, 1);
    (void)process_sessions_add(&sessions, identity.leader.pid);
    assert_int_equal(process_set_is_empty_fast(&identity, &sessions), expected);
    children_kill(pids[0]);
    /* Without a mark, any process that the machine starts meanwhile makes it unsure. */
    if (plan.is_marked)
        assert_int_equal(process_set_is_empty_fast(&identity, &sessions), PROCESS_SET_EMPTY);
}

static void test_fast_survivor_in_group_occupies(void **state)
{
    (void)state;
    expect_fast((struct plan){.shape = CHILD_IN_GROUP, .is_marked = true}, PROCESS_SET_OCCUPIED);
}

static void test_fast_survivor_in_session_occupies(void **state)
{
    (void)state;
    expect_fast((struct plan){.shape = CHILD_IN_SESSION, .is_marked = true}, PROCESS_SET_OCCUPIED);
}

static void test_fast_marked_orphan_occupies(void **state)
{
    (void)state;
    expect_fast(
        (struct plan){.shape = GRANDCHILD_ORPHANED, .is_marked = true}, PROCESS_SET_OCCUPIED);
}

static void test_fast_unmarked_orphan_is_unsure(void **state)
{
    (void)state;
    expect_fast((struct plan){.shape = GRANDCHILD_ORPHANED}, PROCESS_SET_UNSURE);
}

static void test_fast_vouched_session_is_not_looked_at(void **state)
{
    (void)state;
    struct plan dead = {.shape = ALONE, .is_marked = true};
    struct plan other = {.shape = ALONE, .is_marked = true};
    struct process_sessions sessions;
    pid_t pids[1];
    process_sessions_init(&sessions);
    struct process_identity identity = run_generation(&dead, pids, 1);
    struct process_identity living = run_generation(&other, pids, 1);
    children_kill(identity.leader.pid);
    /* Both have the same mark: only the session tells them apart. */
    assert_int_equal(process_set_is_empty_fast(&identity, &sessions), PROCESS_SET_OCCUPIED);
    assert_true(process_sessions_add(&sessions, living.leader.pid));
    assert_int_equal(process_set_is_empty_fast(&identity, &sessions), PROCESS_SET_EMPTY);
}

static bool is_elder(const struct process_sessions *sessions, pid_t pid)
{
    for (size_t i = 0; i < sessions->n_elders; i++) {
        if (sessions->elders[i].id.pid == pid)
            return true;
    }
    return false;
}

/* Makes the answer sure beside whatever else begins on the machine meanwhile. */
enum { NOBODYS_MARK = 4711 };

/* Only so many elders are remembered, and the machine may have more. */
static void vouch_for_all_that_run(struct process_sessions *sessions)
{
    struct proc_walk walk;
    int pid = 0;
    assert_int_equal(proc_walk_open(&walk, "/proc"), 0);
    while (proc_walk_next(&walk, &pid)) {
        pid_t session = getsid(pid);
        if (session > 0)
            assert_true(process_sessions_add(sessions, session));
    }
    proc_walk_close(&walk);
}

static void test_fast_elder_is_remembered_until_it_ends(void **state)
{
    (void)state;
    struct process_sessions sessions;
    process_sessions_init(&sessions);
    vouch_for_all_that_run(&sessions);
    pid_t elder = children_run(children_wait, NULL);
    struct process_identity identity = children_identity(elder);
    identity.mark = NOBODYS_MARK;
    identity.leader = (struct process_id){
        .pid = children_run(children_wait, NULL), .start_ticks = identity.leader.start_ticks + 1};
    children_kill(identity.leader.pid);
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(process_set_is_empty_fast(&identity, &sessions), PROCESS_SET_EMPTY);
        assert_true(is_elder(&sessions, elder));
    }
    children_kill(elder);
    assert_int_equal(process_set_is_empty_fast(&identity, &sessions), PROCESS_SET_EMPTY);
    assert_false(is_elder(&sessions, elder));
    process_sessions_deinit(&sessions);
}

static void test_fast_elder_does_not_vouch_for_itself_against_an_older_one(void **state)
{
    (void)state;
    struct process_sessions sessions;
    process_sessions_init(&sessions);
    vouch_for_all_that_run(&sessions);
    pid_t elder = children_run(children_wait, NULL);
    struct process_identity younger = children_identity(elder);
    pid_t leader = children_run(children_wait, NULL);
    children_kill(leader);
    younger.leader.pid = leader;
    struct process_identity older = younger;
    younger.leader.start_ticks++;
    younger.mark = NOBODYS_MARK;
    assert_int_equal(process_set_is_empty_fast(&younger, &sessions), PROCESS_SET_EMPTY);
    assert_true(is_elder(&sessions, elder));
    assert_int_equal(process_set_is_empty_fast(&older, &sessions), PROCESS_SET_UNSURE);
    process_sessions_deinit(&sessions);
}

static void test_sessions_stay_sorted_and_bounded(void **state)
{
    (void)state;
    static struct process_sessions sessions;
    process_sessions_init(&sessions);
    for (pid_t session = PROCESS_SESSIONS_MAX; session > 0; session--)
        assert_true(process_sessions_add(&sessions, session * 2));
    assert_true(process_sessions_add(&sessions, 2));
    assert_false(process_sessions_add(&sessions, 3));
    process_sessions_remove(&sessions, 3);
    process_sessions_remove(&sessions, 10);
    process_sessions_remove(&sessions, 10);
    assert_int_equal(sessions.count, PROCESS_SESSIONS_MAX - 1);
    for (size_t i = 1; i < sessions.count; i++)
        assert_true(sessions.ids[i - 1] < sessions.ids[i]);
}

/* --- The mark, identity, signals
 * --------------------------------------------------------------------- */

static void test_mark_follows_the_invocation(void **state)
{
    (void)state;
    struct rlimit first;
    struct rlimit second;
    assert_int_equal(process_mark_choose(invocation, &first, NULL), 0);
    assert_int_equal(process_mark_choose("f0112233445566778899aabbccddeeff", &second, NULL), 0);
    assert_true(first.rlim_cur != second.rlim_cur);
    assert_true(first.rlim_cur <= first.rlim_max);
    assert_int_equal(process_mark_choose("short", &first, NULL), -STATUS_INVALID_ARGUMENT);
}

static int mark_inside_a_mark(void *context)
{
    (void)context;
    struct rlimit outer;
    struct rlimit inner;
    if (process_mark_choose(invocation, &outer, NULL) != 0 || setrlimit(RLIMIT_RTTIME, &outer) != 0)
        return 1;
    if (process_mark_choose("ffffffffffffffffffffffffffffffff", &inner, NULL) != 0 ||
        setrlimit(RLIMIT_RTTIME, &inner) != 0)
        return 2;
    return inner.rlim_max == outer.rlim_max && inner.rlim_cur != outer.rlim_cur ? 0 : 3;
}

static void test_mark_inside_a_mark_keeps_the_outer_one(void **state)
{
    (void)state;
    assert_int_equal(children_reap(children_run(mark_inside_a_mark, NULL)), 0);
}

static void test_signal_reaches_only_the_same_start_time(void **state)
{
    (void)state;
    pid_t pid = children_run(children_wait, NULL);
    struct process_id id = children_identity(pid).leader;
    struct process_id stranger = {.pid = pid, .start_ticks = id.start_ticks + 1};
    assert_int_equal(process_signal(&stranger, SIGKILL, NULL), PROCESS_GONE);
    assert_true(process_is_alive(&id));
    assert_int_equal(process_signal(&id, 0, NULL), 0);
    assert_int_equal(process_signal(&id, SIGKILL, NULL), 0);
    assert_int_equal(children_reap(pid), -1);
    assert_int_equal(process_signal(&id, SIGKILL, NULL), PROCESS_GONE);
    assert_false(process_is_alive(&id));
    assert_int_equal(process_identify(pid, &id, NULL), PROCESS_GONE);
    assert_int_equal(process_identify(0, &id, NULL), -STATUS_INVALID_ARGUMENT);
}

#define PROCESS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argument_count, char **arguments)
{
    if (argument_count == 2 && strcmp(arguments[0], "waiter") == 0)
        return run_waiter((int)strtol(arguments[1], NULL, 10));
    const struct CMUnitTest tests[] = {
        PROCESS_TEST(test_scan_leader_alone_is_found),
        PROCESS_TEST(test_scan_child_in_own_group_is_found_by_session),
        PROCESS_TEST(test_scan_orphan_in_new_session_is_found_by_mark),
        PROCESS_TEST(test_scan_orphan_in_new_session_is_found_by_environment),
        PROCESS_TEST(test_scan_setsid_child_is_found_by_descent),
        PROCESS_TEST(test_scan_recycled_leader_number_proves_nothing),
        PROCESS_TEST(test_scan_serves_many_generations),
        PROCESS_TEST(test_scan_counts_beyond_capacity),
        PROCESS_TEST(test_fast_dead_generation_is_empty),
        PROCESS_TEST(test_fast_short_of_descriptors_is_unsure),
        PROCESS_TEST(test_fast_survivor_in_group_occupies),
        PROCESS_TEST(test_fast_survivor_in_session_occupies),
        PROCESS_TEST(test_fast_marked_orphan_occupies),
        PROCESS_TEST(test_fast_unmarked_orphan_is_unsure),
        PROCESS_TEST(test_fast_vouched_session_is_not_looked_at),
        PROCESS_TEST(test_fast_elder_is_remembered_until_it_ends),
        PROCESS_TEST(test_fast_elder_does_not_vouch_for_itself_against_an_older_one),
        PROCESS_TEST(test_sessions_stay_sorted_and_bounded),
        PROCESS_TEST(test_mark_follows_the_invocation),
        PROCESS_TEST(test_mark_inside_a_mark_keeps_the_outer_one),
        PROCESS_TEST(test_signal_reaches_only_the_same_start_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
