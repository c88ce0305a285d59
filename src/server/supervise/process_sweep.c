/* The pass. Evidence costs differently, so it is gathered in this order: numbers and marks as each
 * process is met; parent chains when all have been; and only for those still unexplained, and
 * without anybody's mark, their environment. */
#include "server/supervise/process_sweep.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "server/supervise/proc_file.h"

enum {
    FIRST_CAPACITY = 256,
    /* Memory is kept from one pass to the next up to this many processes. */
    KEPT_CAPACITY = 4096,
    /* Processes younger than the pass that are met before those born meanwhile are skipped. */
    NEWCOMERS_MAX = 64,
    /* Skips in one pass; more processes at once than that: incomplete. */
    SKIPS_MAX = 1000,
    /* Numbers around the newest one that a chase tries. */
    CHASE_BEHIND = 8,
    CHASE_AHEAD = 2,
    /* Members of a control group that are met one by one; the group is killed as a whole. */
    CGROUP_MEMBERS_MAX = 1024,
    /* Of a set that is only looked at: members whose program is told. */
    NAMED_MEMBERS_MAX = 4
};

/* A limit that process_mark_choose may have given to somebody. */
static const uint64_t lowest_mark = UINT64_C(1) << 59;

#define NO_QUESTION SIZE_MAX

/* Whose a process is, while parent chains are followed. */
enum place { PLACE_UNKNOWN, PLACE_VISITED, PLACE_OUTSIDE, PLACE_INSIDE };

/* One process that is not older than the oldest generation asked about. */
struct seen {
    struct process_id id;
    pid_t parent;
    pid_t group;
    pid_t session;
    size_t question; /* that it belongs to, or NO_QUESTION */
    size_t claimed;  /* that has its numbers, while its environment has to confirm it */
    unsigned evidence;
    enum place place;
    bool is_marked; /* by somebody */
};

/* Is the process that has a generation's number the one that began it? */
enum leader { LEADER_UNKNOWN, LEADER_OURS, LEADER_GONE, LEADER_FOREIGN };

struct key {
    uint64_t value;
    size_t question;
};

struct process_sweep {
    struct seen *seen; /* ascending by pid */
    size_t n_seen;
    size_t seen_capacity;
    struct process_found *found;
    size_t n_found;
    size_t found_capacity;

    /* Of the present run. */
    const struct process_question *questions;
    struct process_answer *answers;
    size_t n;
    enum leader *leaders;
    struct key *by_leader;
    size_t n_by_leader;
    struct key *by_mark;
    size_t n_by_mark;
    size_t keys_capacity;
    uint64_t oldest;
    bool has_unread; /* something that nothing is known of */
    const atomic_bool *stop;
};

int process_sweep_new(struct process_sweep **out, struct error *error)
{
    struct process_sweep *sweep = calloc(1, sizeof *sweep);
    if (sweep == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a process sweep");
    *out = sweep;
    return 0;
}

void process_sweep_free(struct process_sweep *sweep)
{
    if (sweep == NULL)
        return;
    free(sweep->seen);
    free(sweep->found);
    free(sweep->leaders);
    free(sweep->by_leader);
    free(sweep->by_mark);
    free(sweep);
}

const struct process_found *process_sweep_found(const struct process_sweep *sweep, size_t *out_n)
{
    *out_n = sweep->n_found;
    return sweep->found;
}

bool process_found_is_stray(const struct process_found *found)
{
    return (found->member.evidence & (PROCESS_IS_LEADER | PROCESS_IN_GROUP)) == 0;
}

bool process_pass_proves_empty(const struct process_pass *earlier, const struct process_pass *pass)
{
    const struct process_answer *now = &pass->answer;
    if (!now->is_complete || now->n_members > 0 || pass->strays_before != pass->strays_after)
        return false;
    return now->n_dead == 0 ||
           (earlier != NULL && earlier->answer.is_complete &&
               earlier->answer.n_dead == now->n_dead && earlier->answer.dead_sum == now->dead_sum);
}

/* --- Index of the questions ----------------------------------------------------------------------
 */

static int compare_keys(const void *left, const void *right)
{
    const struct key *a = left;
    const struct key *b = right;
    return a->value < b->value ? -1 : a->value > b->value;
}

static size_t find_key(const struct key *keys, size_t n, uint64_t value)
{
    const struct key wanted = {.value = value};
    const struct key *key = n > 0 ? bsearch(&wanted, keys, n, sizeof *keys, compare_keys) : NULL;
    return key != NULL ? key->question : NO_QUESTION;
}

static bool make_keys(struct process_sweep *sweep)
{
    if (sweep->n > sweep->keys_capacity) {
        free(sweep->leaders);
        free(sweep->by_leader);
        free(sweep->by_mark);
        sweep->leaders = calloc(sweep->n, sizeof *sweep->leaders);
        sweep->by_leader = calloc(sweep->n, sizeof *sweep->by_leader);
        sweep->by_mark = calloc(sweep->n, sizeof *sweep->by_mark);
        sweep->keys_capacity = sweep->n;
    }
    if (sweep->leaders == NULL || sweep->by_leader == NULL || sweep->by_mark == NULL) {
        sweep->keys_capacity = 0;
        return false;
    }
    return true;
}

static bool index_questions(struct process_sweep *sweep)
{
    sweep->n_by_leader = sweep->n_by_mark = 0;
    sweep->oldest = UINT64_MAX;
    if (!make_keys(sweep))
        return false;
    for (size_t i = 0; i < sweep->n; i++) {
        const struct process_identity *identity = &sweep->questions[i].identity;
        sweep->leaders[i] = LEADER_UNKNOWN;
        sweep->answers[i] = (struct process_answer){.n_members = 0};
        if (identity->leader.pid > 0)
            sweep->by_leader[sweep->n_by_leader++] =
                (struct key){.value = (uint64_t)identity->leader.pid, .question = i};
        if (identity->mark != 0)
            sweep->by_mark[sweep->n_by_mark++] =
                (struct key){.value = identity->mark, .question = i};
        if (identity->leader.start_ticks < sweep->oldest)
            sweep->oldest = identity->leader.start_ticks;
    }
    if (sweep->n_by_leader > 0)
        qsort(sweep->by_leader, sweep->n_by_leader, sizeof(struct key), compare_keys);
    if (sweep->n_by_mark > 0)
        qsort(sweep->by_mark, sweep->n_by_mark, sizeof(struct key), compare_keys);
    return true;
}

/* --- What is done to those who are met -----------------------------------------------------------
 */

static struct process_found *add_found(struct process_sweep *sweep)
{
    if (sweep->n_found == sweep->found_capacity) {
        size_t capacity =
            sweep->found_capacity == 0 ? FIRST_CAPACITY / 8 : sweep->found_capacity * 2;
        if (sweep->n_found >= PROCESS_FOUND_MAX)
            return NULL;
        struct process_found *grown = realloc(sweep->found, capacity * sizeof *grown);
        if (grown == NULL)
            return NULL;
        sweep->found = grown;
        sweep->found_capacity = capacity;
    }
    return &sweep->found[sweep->n_found++];
}

/* Sends what the question wants for such a member. */
static void signal_found(const struct process_question *question, struct process_found *found)
{
    struct error error = ERROR_INIT;
    int signal_number = question->wish == PROCESS_KILL ? SIGKILL : question->signal_number;
    if (question->wish == PROCESS_LOOK ||
        (question->wish == PROCESS_TELL_STRAYS && !process_found_is_stray(found)))
        return;
    int result = process_signal(&found->member.id, signal_number, &error);
    if (result == 0)
        found->signal_number = signal_number;
    else if (result < 0)
        found->system_error = error.system_error;
    /* Who has been stopped hears nothing before it goes on. */
    if (result == 0 && question->wish == PROCESS_TELL_STRAYS)
        (void)!process_signal(&found->member.id, SIGCONT, NULL);
}

static void meet_member(struct process_sweep *sweep, const struct seen *seen)
{
    const struct process_question *question = &sweep->questions[seen->question];
    struct process_answer *answer = &sweep->answers[seen->question];
    struct process_found found = {.question = seen->question,
        .member = {.id = seen->id, .parent = seen->parent, .evidence = seen->evidence}};
    answer->n_members++;
    if (question->wish != PROCESS_LOOK || answer->n_members <= NAMED_MEMBERS_MAX)
        process_executable(seen->id.pid, found.member.executable);
    signal_found(question, &found);
    if (found.system_error != 0)
        answer->n_refused++;
    struct process_found *kept = add_found(sweep);
    if (kept != NULL)
        *kept = found;
}

/* Which of the dead: a sum does not mind their order. */
static uint64_t dead_number(const struct process_id *id)
{
    uint64_t number = (uint64_t)id->pid * UINT64_C(0x9e3779b97f4a7c15) ^ id->start_ticks;
    return number * UINT64_C(0xff51afd7ed558ccd);
}

static void meet_dead(struct process_answer *answer, const struct process_id *id)
{
    answer->n_dead++;
    answer->dead_sum += dead_number(id);
}

/* --- Whose is it ---------------------------------------------------------------------------------
 */

static bool is_young(const struct process_sweep *sweep, const struct seen *seen, size_t question)
{
    return seen->id.start_ticks >= sweep->questions[question].identity.leader.start_ticks;
}

/* As long as a process has the number as its own, its group's or its session's, nobody else gets
 * it; so who has it now tells whether it was given away meanwhile. */
static enum leader leader_of(struct process_sweep *sweep, size_t question)
{
    const struct process_id *leader = &sweep->questions[question].identity.leader;
    struct proc_stat stat;
    int result;
    if (sweep->leaders[question] != LEADER_UNKNOWN)
        return sweep->leaders[question];
    result = proc_stat_read(leader->pid, &stat);
    if (result == PROC_UNREAD)
        sweep->has_unread = true;
    else if (result != 0)
        sweep->leaders[question] = LEADER_GONE;
    else
        sweep->leaders[question] =
            stat.start_ticks == leader->start_ticks ? LEADER_OURS : LEADER_FOREIGN;
    return sweep->leaders[question];
}

static size_t find_by_numbers(const struct process_sweep *sweep, const struct seen *seen)
{
    const pid_t numbers[] = {seen->id.pid, seen->session, seen->group};
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        size_t question = find_key(sweep->by_leader, sweep->n_by_leader, (uint64_t)numbers[i]);
        if (numbers[i] > 0 && question != NO_QUESTION)
            return question;
    }
    return NO_QUESTION;
}

static void note_numbers(struct process_sweep *sweep, struct seen *seen, size_t question)
{
    const struct process_id *leader = &sweep->questions[question].identity.leader;
    if (leader_of(sweep, question) == LEADER_FOREIGN)
        return;
    if (seen->id.pid == leader->pid && seen->id.start_ticks == leader->start_ticks)
        seen->evidence |= PROCESS_IS_LEADER;
    if (leader->pid > 0 && seen->group == leader->pid)
        seen->evidence |= PROCESS_IN_GROUP;
    if (leader->pid > 0 && seen->session == leader->pid)
        seen->evidence |= PROCESS_IN_SESSION;
}

static bool has_other_evidence(const struct process_identity *identity)
{
    return identity->mark != 0 || identity->invocation[0] != '\0';
}

/* By its numbers, unless those may have been given away and nothing else speaks for it. */
static void match_by_numbers(struct process_sweep *sweep, struct seen *seen)
{
    size_t question = find_by_numbers(sweep, seen);
    if (question == NO_QUESTION || !is_young(sweep, seen, question))
        return;
    enum leader leader = leader_of(sweep, question);
    bool is_sure =
        leader == LEADER_OURS ||
        (leader == LEADER_GONE && !has_other_evidence(&sweep->questions[question].identity));
    if (is_sure) {
        seen->question = question;
        note_numbers(sweep, seen, question);
    } else if (leader == LEADER_GONE && !seen->is_marked) {
        seen->claimed = question;
    }
}

static bool is_mark(uint64_t limit)
{
    return limit != UINT64_MAX && limit >= lowest_mark;
}

static void match(struct process_sweep *sweep, struct seen *seen)
{
    uint64_t soft = 0;
    uint64_t hard = 0;
    int result = proc_rttime_read(seen->id.pid, &soft, &hard);
    sweep->has_unread |= result == PROC_UNREAD;
    if (result == 0) {
        size_t question = find_key(sweep->by_mark, sweep->n_by_mark, soft);
        if (question == NO_QUESTION)
            question = find_key(sweep->by_mark, sweep->n_by_mark, hard);
        seen->is_marked = is_mark(soft) || is_mark(hard);
        if (question != NO_QUESTION && is_young(sweep, seen, question)) {
            seen->question = question;
            seen->evidence |= PROCESS_HAS_MARK;
            note_numbers(sweep, seen, question);
            return;
        }
    }
    match_by_numbers(sweep, seen);
}

/* --- The pass ------------------------------------------------------------------------------------
 */

static bool make_room(struct process_sweep *sweep)
{
    if (sweep->n_seen < sweep->seen_capacity)
        return true;
    size_t capacity = sweep->seen_capacity == 0 ? FIRST_CAPACITY : sweep->seen_capacity * 2;
    if (sweep->n_seen >= PROCESS_SCAN_MAX)
        return false;
    struct seen *grown = realloc(sweep->seen, capacity * sizeof *grown);
    if (grown == NULL)
        return false;
    sweep->seen = grown;
    sweep->seen_capacity = capacity;
    return true;
}

/* False: there is no room for it. */
static bool meet(struct process_sweep *sweep, pid_t pid)
{
    struct proc_stat stat;
    int result = proc_stat_read(pid, &stat);
    sweep->has_unread |= result == PROC_UNREAD;
    if (result != 0 || stat.start_ticks < sweep->oldest)
        return true;
    struct seen seen = {.id = {.pid = pid, .start_ticks = stat.start_ticks},
        .parent = stat.parent,
        .group = stat.group,
        .session = stat.session,
        .question = NO_QUESTION,
        .claimed = NO_QUESTION};
    /* Session 0: kernel threads, which are nobody's. */
    if (stat.session != 0)
        match(sweep, &seen);
    if (stat.is_dead) {
        if (seen.question != NO_QUESTION)
            meet_dead(&sweep->answers[seen.question], &seen.id);
        return true;
    }
    if (seen.question != NO_QUESTION)
        meet_member(sweep, &seen);
    /* The kernel walks in the order of numbers; after a skip none is met twice. */
    if (sweep->n_seen > 0 && pid <= sweep->seen[sweep->n_seen - 1].id.pid)
        return true;
    if (!make_room(sweep))
        return false;
    sweep->seen[sweep->n_seen++] = seen;
    return true;
}

static bool is_stopped(const struct process_sweep *sweep)
{
    return sweep->stop != NULL && atomic_load_explicit(sweep->stop, memory_order_relaxed);
}

/* Everybody who lived when it began has been met when it answers true. Whoever was born since then
 * has a higher number than `last` had (or, when numbers began anew, one that is behind us); under a
 * storm of forks there is always another, so those are left out after a while. */
static bool walk_all(struct process_sweep *sweep, struct proc_walk *walk)
{
    pid_t last = proc_last_pid();
    int pid = 0;
    unsigned newcomers = 0;
    unsigned skips = 0;
    while (proc_walk_next(walk, &pid)) {
        if (is_stopped(sweep) || !meet(sweep, pid))
            return false;
        if (last == 0 || pid <= last || ++newcomers < NEWCOMERS_MAX)
            continue;
        pid_t newest = proc_last_pid();
        newcomers = 0;
        if (newest > pid && (++skips > SKIPS_MAX || !proc_walk_skip(walk, newest)))
            return false;
    }
    return !walk->has_failed;
}

static struct seen *find_seen(const struct process_sweep *sweep, pid_t pid)
{
    size_t low = 0;
    size_t high = sweep->n_seen;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sweep->seen[middle].id.pid < pid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < sweep->n_seen && sweep->seen[low].id.pid == pid ? &sweep->seen[low] : NULL;
}

static struct seen *parent_of(const struct process_sweep *sweep, const struct seen *seen)
{
    struct seen *parent = find_seen(sweep, seen->parent);
    /* A parent younger than its child is a recycled number. */
    return parent != NULL && parent->id.start_ticks <= seen->id.start_ticks ? parent : NULL;
}

/* Up the parent chain until something is known; everything passed shares the answer. */
static void place(struct process_sweep *sweep, struct seen *seen)
{
    struct seen *at = seen;
    struct seen *parent = seen;
    while (parent != NULL && parent->place == PLACE_UNKNOWN) {
        at = parent;
        at->place = PLACE_VISITED;
        parent = parent_of(sweep, at);
    }
    enum place found =
        parent != NULL && parent->place == PLACE_INSIDE ? PLACE_INSIDE : PLACE_OUTSIDE;
    size_t question = found == PLACE_INSIDE ? parent->question : NO_QUESTION;
    for (at = seen; at != NULL && at->place == PLACE_VISITED; at = parent_of(sweep, at)) {
        at->place = found;
        if (question == NO_QUESTION)
            continue;
        at->question = question;
        at->evidence |= PROCESS_IS_DESCENDANT;
        note_numbers(sweep, at, question);
        meet_member(sweep, at);
    }
}

static void gather_descendants(struct process_sweep *sweep)
{
    for (size_t i = 0; i < sweep->n_seen; i++)
        sweep->seen[i].place =
            sweep->seen[i].question != NO_QUESTION ? PLACE_INSIDE : PLACE_UNKNOWN;
    for (size_t i = 0; i < sweep->n_seen; i++)
        place(sweep, &sweep->seen[i]);
}

static size_t find_by_invocation(struct process_sweep *sweep, const struct seen *seen)
{
    char invocation[PROCESS_INVOCATION_LENGTH + 1];
    int result = proc_invocation_read(seen->id.pid, invocation);
    sweep->has_unread |= result == PROC_UNREAD;
    /* Hidden, and nobody else can have its numbers: taken for what they say. */
    if (result == PROC_HIDDEN)
        return seen->claimed;
    if (result != 0 || invocation[0] == '\0')
        return NO_QUESTION;
    for (size_t i = 0; i < sweep->n; i++) {
        if (strcmp(sweep->questions[i].identity.invocation, invocation) == 0)
            return i;
    }
    return NO_QUESTION;
}

/* True: somebody was found, whose children may be members too. */
static bool gather_invocations(struct process_sweep *sweep)
{
    bool found = false;
    for (size_t i = 0; i < sweep->n_seen && !is_stopped(sweep); i++) {
        struct seen *seen = &sweep->seen[i];
        if (seen->question != NO_QUESTION || seen->session == 0 || seen->is_marked)
            continue;
        size_t question = find_by_invocation(sweep, seen);
        if (question == NO_QUESTION || !is_young(sweep, seen, question))
            continue;
        seen->question = question;
        seen->evidence |= PROCESS_HAS_INVOCATION;
        note_numbers(sweep, seen, question);
        meet_member(sweep, seen);
        found = true;
    }
    return found;
}

/* --- Control groups ------------------------------------------------------------------------------
 */

static void meet_in_cgroup(struct process_sweep *sweep, size_t question, pid_t pid)
{
    struct proc_stat stat;
    const struct seen *known = find_seen(sweep, pid);
    if ((known != NULL && known->question == question) || proc_stat_read(pid, &stat) != 0 ||
        stat.is_dead)
        return;
    struct seen seen = {.id = {.pid = pid, .start_ticks = stat.start_ticks},
        .parent = stat.parent,
        .group = stat.group,
        .session = stat.session,
        .question = question,
        .evidence = PROCESS_IN_CGROUP};
    note_numbers(sweep, &seen, question);
    meet_member(sweep, &seen);
}

/* Who is in the group is a member, whatever it looks like; and the group ends all at once, also
 * those that fork meanwhile. */
static void gather_cgroup(struct process_sweep *sweep, size_t question)
{
    const struct process_question *asked = &sweep->questions[question];
    pid_t pids[CGROUP_MEMBERS_MAX];
    if (asked->cgroup[0] == '\0' || !cgroup_is_populated(asked->cgroup_home_fd, asked->cgroup))
        return;
    size_t n = cgroup_members(asked->cgroup_home_fd, asked->cgroup, pids, CGROUP_MEMBERS_MAX);
    for (size_t i = 0; i < n; i++)
        meet_in_cgroup(sweep, question, pids[i]);
    if (asked->wish == PROCESS_KILL)
        (void)cgroup_kill(asked->cgroup_home_fd, asked->cgroup);
    if (sweep->answers[question].n_members == 0)
        sweep->answers[question].n_members = 1;
}

/* --- The chase -----------------------------------------------------------------------------------
 */

/* The pidfd is that of the process that had the number a moment ago; if another has it now, and is
 * ours, that one is dead, and the signal reaches nobody. */
static void chase_pid(struct process_sweep *sweep, pid_t pid)
{
    uint64_t soft = 0;
    uint64_t hard = 0;
    if (proc_rttime_read(pid, &soft, &hard) != 0)
        return;
    size_t question = find_key(sweep->by_mark, sweep->n_by_mark, soft);
    if (question == NO_QUESTION)
        question = find_key(sweep->by_mark, sweep->n_by_mark, hard);
    if (question == NO_QUESTION || !sweep->questions[question].chases)
        return;
    CLEANUP(fd_close) int fd = pidfd_open(pid, 0);
    if (fd < 0 || proc_rttime_read(pid, &soft, &hard) != 0 ||
        (soft != sweep->questions[question].identity.mark &&
            hard != sweep->questions[question].identity.mark))
        return;
    struct process_found found = {
        .question = question, .member = {.id = {.pid = pid}, .evidence = PROCESS_HAS_MARK}};
    process_executable(pid, found.member.executable);
    if (pidfd_send_signal(fd, SIGKILL, NULL, 0) != 0)
        return;
    found.signal_number = SIGKILL;
    sweep->answers[question].n_members++;
    struct process_found *kept = add_found(sweep);
    if (kept != NULL)
        *kept = found;
}

static void chase(struct process_sweep *sweep)
{
    int64_t until = clock_monotonic_ms() + PROCESS_CHASE_MS;
    do {
        pid_t last = proc_last_pid();
        for (pid_t pid = last + CHASE_AHEAD; pid > 0 && pid > last - CHASE_BEHIND; pid--)
            chase_pid(sweep, pid);
    } while (!is_stopped(sweep) && clock_monotonic_ms() < until);
}

static bool wants_chase(const struct process_sweep *sweep)
{
    for (size_t i = 0; i < sweep->n; i++) {
        if (sweep->questions[i].chases && sweep->questions[i].wish == PROCESS_KILL)
            return true;
    }
    return false;
}

/* --- Running -------------------------------------------------------------------------------------
 */

static void give_memory_back(struct process_sweep *sweep)
{
    if (sweep->seen_capacity <= KEPT_CAPACITY)
        return;
    free(sweep->seen);
    sweep->seen = NULL;
    sweep->seen_capacity = 0;
}

int process_sweep_run(struct process_sweep *sweep, const struct process_question *questions,
    struct process_answer *out_answers, size_t n, const atomic_bool *stop, struct error *error)
{
    sweep->questions = questions;
    sweep->answers = out_answers;
    sweep->n = n;
    sweep->n_seen = sweep->n_found = 0;
    sweep->has_unread = false;
    sweep->stop = stop;
    struct proc_walk walk;
    if (!index_questions(sweep))
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a process sweep");
    if (wants_chase(sweep))
        chase(sweep);
    if (proc_walk_open(&walk, "/proc") != 0)
        return error_set_errno(error, errno, "open /proc");
    bool is_complete = walk_all(sweep, &walk);
    proc_walk_close(&walk);
    gather_descendants(sweep);
    if (gather_invocations(sweep))
        gather_descendants(sweep);
    for (size_t i = 0; i < n; i++)
        gather_cgroup(sweep, i);
    for (size_t i = 0; i < n; i++)
        out_answers[i].is_complete = is_complete && !sweep->has_unread && !is_stopped(sweep);
    sweep->n_seen = 0;
    give_memory_back(sweep);
    return 0;
}
