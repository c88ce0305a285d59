/* The journal, its text, recovery, and the lock. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/fd.h"
#include "common/release/upgrade_lock.h"
#include "common/release/upgrade_recovery.h"
#include "common/release/upgrade_text.h"
#include "unit.h"

enum { TURNS_MAX = 12 };

#define STEP(name) UPGRADE_STEP_##name
#define ACTION(name) UPGRADE_ACTION_##name

static const enum upgrade_step whole_way[] = {STEP(PREPARED), STEP(LEASING), STEP(LEASED),
    STEP(STOPPING), STEP(SWITCHING), STEP(SWITCHED), STEP(COMMITTING), STEP(ROLLING_BACK),
    STEP(ROLLED_BACK)};

static struct upgrade_journal new_journal(void)
{
    struct upgrade_journal journal;
    assert_int_equal(upgrade_journal_begin("u7", "1.0.0", "1.1.0", 1000, &journal, NULL), 0);
    journal.links.n_changes = 2;
    journal.links.changes[0] = (struct link_change){
        .link = "/srv/current", .old_target = "releases/1.0.0", .new_target = "releases/1.1.0"};
    journal.links.changes[1] =
        (struct link_change){.link = "/srv/app dir/x", .old_target = "", .new_target = "../y z"};
    return journal;
}

/* Goes to `step`, taking the lease on the way where there is one. */
static void advance(struct upgrade_journal *journal, enum upgrade_step step)
{
    if (step == STEP(LEASED) && journal->lease[0] == '\0')
        assert_int_equal(upgrade_journal_set_lease(journal, "3f", NULL), 0);
    assert_int_equal(upgrade_journal_advance(journal, step, 2000 + (int)step, NULL), 0);
}

static void encode(const struct upgrade_journal *journal, char **out, size_t *out_len)
{
    struct buffer text;
    buffer_init(&text, UPGRADE_JOURNAL_BYTES_MAX);
    assert_int_equal(upgrade_text_write(journal, &text), 0);
    *out_len = buffer_length(&text);
    *out = malloc(*out_len + 1);
    assert_non_null(*out);
    memcpy(*out, buffer_data(&text), *out_len);
    (*out)[*out_len] = '\0';
    buffer_deinit(&text);
}

static uint64_t fnv(const char *text)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++)
        sum = (sum ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return sum;
}

/* A text with a right sum; what reading it says. */
static int read_signed(const char *body, struct upgrade_journal *out)
{
    char text[4096];
    int len = snprintf(text, sizeof text, "%send %016llx\n", body, (unsigned long long)fnv(body));
    assert_true(len > 0 && (size_t)len < sizeof text);
    return upgrade_text_read(text, (size_t)len, "x", out, NULL);
}

/* ---- steps ---- */

static void test_steps_are_recorded_once_and_in_order(void **state)
{
    (void)state;
    struct upgrade_journal journal = new_journal();
    for (size_t i = 0; i < sizeof whole_way / sizeof whole_way[0]; i++) {
        for (unsigned step = 0; step < UPGRADE_STEP_COUNT; step++) {
            struct upgrade_journal copy = journal;
            enum upgrade_step last = upgrade_journal_step(&journal);
            int result = upgrade_journal_advance(&copy, (enum upgrade_step)step, 1, NULL);
            if (!upgrade_step_is_legal(last, (enum upgrade_step)step) && step != last)
                assert_int_equal(result, -STATUS_FAILED_PRECONDITION);
            if (result < 0 || step == last)
                assert_memory_equal(&copy, &journal, sizeof copy);
        }
        advance(&journal, whole_way[i]);
        assert_int_equal(upgrade_journal_step(&journal), whole_way[i]);
    }
}

static void test_steps_need_their_facts(void **state)
{
    (void)state;
    struct upgrade_journal journal = new_journal();
    struct upgrade_journal bare = journal;
    bare.links.n_changes = 0;
    assert_int_equal(upgrade_journal_set_lease(&journal, "3f", NULL), -STATUS_FAILED_PRECONDITION);
    advance(&journal, STEP(PREPARED));
    advance(&bare, STEP(PREPARED));
    assert_int_equal(
        upgrade_journal_advance(&bare, STEP(LEASING), 1, NULL), -STATUS_FAILED_PRECONDITION);
    assert_int_equal(
        upgrade_journal_advance(&bare, STEP(SWITCHING), 1, NULL), -STATUS_FAILED_PRECONDITION);
    struct upgrade_journal alone = journal;
    advance(&journal, STEP(LEASING));
    assert_int_equal(
        upgrade_journal_advance(&journal, STEP(LEASED), 1, NULL), -STATUS_FAILED_PRECONDITION);
    assert_int_equal(upgrade_journal_set_lease(&journal, "", NULL), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(upgrade_journal_set_lease(&journal, "a b", NULL), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(upgrade_journal_set_lease(&journal, "3f", NULL), 0);
    assert_int_equal(upgrade_journal_set_lease(&journal, "40", NULL), -STATUS_FAILED_PRECONDITION);
    /* Nobody commits for one without a server. */
    advance(&alone, STEP(SWITCHING));
    advance(&alone, STEP(SWITCHED));
    assert_int_equal(
        upgrade_journal_advance(&alone, STEP(COMMITTING), 1, NULL), -STATUS_FAILED_PRECONDITION);
    advance(&alone, STEP(COMMITTED));
}

static void test_begin_refuses_bad_names(void **state)
{
    (void)state;
    struct upgrade_journal journal;
    char id[UPGRADE_ID_MAX + 2];
    memset(id, 'a', sizeof id);
    id[UPGRADE_ID_MAX + 1] = '\0';
    assert_true(upgrade_journal_begin(id, "", "1.1.0", 0, &journal, NULL) < 0);
    id[UPGRADE_ID_MAX] = '\0';
    assert_int_equal(upgrade_journal_begin(id, "", "1.1.0", 0, &journal, NULL), 0);
    assert_true(upgrade_journal_begin("", "", "1.1.0", 0, &journal, NULL) < 0);
    assert_true(upgrade_journal_begin("a", "", "", 0, &journal, NULL) < 0);
    assert_true(upgrade_journal_begin("a", "", "v1.1.0", 0, &journal, NULL) < 0);
    assert_true(upgrade_journal_begin("a", "x", "1.1.0", 0, &journal, NULL) < 0);
}

/* ---- text ---- */

static void test_text_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct upgrade_journal journal = new_journal();
    for (size_t i = 0; i <= sizeof whole_way / sizeof whole_way[0]; i++) {
        struct upgrade_journal again;
        char *text = NULL;
        size_t len = 0;
        encode(&journal, &text, &len);
        assert_int_equal(upgrade_text_read(text, len, "x", &again, NULL), 0);
        assert_memory_equal(&again.links, &journal.links, sizeof again.links);
        assert_string_equal(again.lease, journal.lease);
        assert_int_equal(again.n_steps, journal.n_steps);
        assert_memory_equal(again.times, journal.times, sizeof again.times);
        free(text);
        if (i < sizeof whole_way / sizeof whole_way[0])
            advance(&journal, whole_way[i]);
    }
}

static void test_text_that_is_cut_or_altered_is_refused(void **state)
{
    (void)state;
    struct upgrade_journal journal = new_journal();
    struct upgrade_journal out;
    for (size_t i = 0; i + 1 < sizeof whole_way / sizeof whole_way[0]; i++)
        advance(&journal, whole_way[i]);
    char *text = NULL;
    size_t len = 0;
    encode(&journal, &text, &len);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(upgrade_text_read(text, cut, "x", &out, NULL), -STATUS_DATA_LOSS);
    /* The end of another one, as far as it was written: a torn write in place. */
    for (size_t at = 0; at < len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            text[at] = (char)(text[at] ^ (1 << bit));
            assert_int_equal(upgrade_text_read(text, len, "x", &out, NULL), -STATUS_DATA_LOSS);
            text[at] = (char)(text[at] ^ (1 << bit));
        }
        char kept = text[at];
        text[at] = kept == '\0' ? 'x' : '\0';
        assert_int_equal(upgrade_text_read(text, len, "x", &out, NULL), -STATUS_DATA_LOSS);
        text[at] = kept;
    }
    assert_int_equal(upgrade_text_read(text, len, "x", &out, NULL), 0);
    free(text);
}

#define FACTS "id a\nfrom \nto 1.0\n"

static void test_text_of_other_formats(void **state)
{
    (void)state;
    struct upgrade_journal out;
    assert_int_equal(read_signed("flocks-upgrade 1 1\n" FACTS "step preparing 0\n", &out), 0);
    /* A newer writer, whose journal this reader may read. */
    assert_int_equal(
        read_signed("flocks-upgrade 1 9\n" FACTS "mood fine\nstep preparing 0\n", &out), 0);
    assert_int_equal(
        read_signed("flocks-upgrade 2 2\nanything at all\n", &out), -STATUS_UNIMPLEMENTED);
    static const char *const damaged[] = {"flocks-upgrade 0 1\n" FACTS "step preparing 0\n",
        "flocks-upgrade 2 1\n" FACTS "step preparing 0\n", "flocks-upgrade 1 1\n" FACTS,
        "flocks-upgrade 1 1\n" FACTS "step prepared 0\n",
        "flocks-upgrade 1 1\n" FACTS "step preparing 0\nstep preparing 0\n",
        "flocks-upgrade 1 1\n" FACTS "step preparing -1\n",
        "flocks-upgrade 1 1\n" FACTS "step preparing 0\nstep prepared 0\nstep switching 0\n",
        "flocks-upgrade 1 1\n" FACTS "id b\nstep preparing 0\n",
        "flocks-upgrade 1 1\n" FACTS "lease b\nstep preparing 0\n",
        "flocks-upgrade 1 1\n" FACTS "link /a\nstep preparing 0\n",
        "flocks-upgrade 1 1\n" FACTS "link /a\nnew b\nold c\nstep preparing 0\n",
        "flocks-upgrade 1 1\n" FACTS "old c\nstep preparing 0\n",
        "flocks-upgrade 1 1\n" FACTS "link a\nold b\nnew c\nstep preparing 0\n",
        "flocks-upgrade 1 1\n" FACTS "step preparing 0\nword\n",
        "flocks-upgrade 1 1\nid a\nto 1.0\nstep preparing 0\n",
        "flocks-upgrade 1 1\nid a\nfrom \nto ../x\nstep preparing 0\n", "other 1 1\n", "\n", ""};
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++)
        assert_int_equal(read_signed(damaged[i], &out), -STATUS_DATA_LOSS);
}

/* ---- the file ---- */

static void test_file_is_replaced_and_removed_whole(void **state)
{
    (void)state;
    struct upgrade_journal journal = new_journal();
    struct upgrade_journal out;
    struct stat status;
    const char *path = place_path("upgrade.journal");
    assert_int_equal(upgrade_journal_read(path, &out, NULL), UPGRADE_JOURNAL_NONE);
    assert_int_equal(upgrade_journal_write(path, &journal, NULL), 0);
    advance(&journal, STEP(PREPARED));
    assert_int_equal(upgrade_journal_write(path, &journal, NULL), 0);
    assert_int_equal(upgrade_journal_read(path, &out, NULL), 0);
    assert_int_equal(upgrade_journal_step(&out), STEP(PREPARED));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    place_write("upgrade.journal.a1B2c3", "of a writer that was killed");
    place_write("upgrade.journal.longer-name", "somebody's");
    assert_int_equal(upgrade_journal_remove(path, NULL), 0);
    assert_int_equal(upgrade_journal_remove(path, NULL), 0);
    assert_int_equal(place_count("."), 1);
    journal.to[0] = '/';
    assert_int_equal(upgrade_journal_write(path, &journal, NULL), -STATUS_INVALID_ARGUMENT);
}

static void test_file_that_cannot_be_read_is_put_aside(void **state)
{
    (void)state;
    struct upgrade_journal out;
    struct error error = ERROR_INIT;
    const char *path = place_path("upgrade.journal");
    place_write("upgrade.journal", "half a jour");
    assert_int_equal(upgrade_journal_read(path, &out, &error), -STATUS_DATA_LOSS);
    assert_non_null(strstr(error.text, "upgrade.journal"));
    assert_int_equal(upgrade_journal_put_aside(path, NULL), 0);
    assert_int_equal(upgrade_journal_read(path, &out, NULL), UPGRADE_JOURNAL_NONE);
    assert_string_equal(place_read("upgrade.journal.unreadable"), "half a jour");
    char *large = malloc(UPGRADE_JOURNAL_BYTES_MAX + 2);
    assert_non_null(large);
    memset(large, 'x', UPGRADE_JOURNAL_BYTES_MAX + 1);
    large[UPGRADE_JOURNAL_BYTES_MAX + 1] = '\0';
    place_write("upgrade.journal", large);
    free(large);
    assert_int_equal(upgrade_journal_read(path, &out, NULL), -STATUS_DATA_LOSS);
    assert_int_equal(unlink(path), 0);
    place_make_directory("upgrade.journal");
    assert_int_equal(upgrade_journal_read(path, &out, NULL), -STATUS_DATA_LOSS);
}

static void test_largest_journal_is_read_again(void **state)
{
    (void)state;
    struct upgrade_journal journal = new_journal();
    struct upgrade_journal out;
    journal.links.n_changes = LINK_SET_MAX;
    for (size_t i = 0; i < LINK_SET_MAX; i++) {
        struct link_change *change = &journal.links.changes[i];
        memset(change, 'x', sizeof *change);
        change->link[0] = '/';
        change->link[1] = (char)('a' + i);
        change->link[LINK_TEXT_MAX] = '\0';
        change->old_target[LINK_TEXT_MAX] = '\0';
        change->new_target[LINK_TEXT_MAX] = '\0';
    }
    for (size_t i = 0; i < sizeof whole_way / sizeof whole_way[0]; i++)
        advance(&journal, whole_way[i]);
    assert_int_equal(upgrade_journal_write(place_path("j"), &journal, NULL), 0);
    assert_int_equal(upgrade_journal_read(place_path("j"), &out, NULL), 0);
    assert_memory_equal(&out.links, &journal.links, sizeof out.links);
}

/* ---- recovery ---- */

/* What is there besides the journal, and what each action makes of it. */
struct world {
    struct upgrade_journal journal;
    enum upgrade_server server;
    enum link_set_state links;
    bool is_over;
    bool is_asking;
};

static void finish(struct world *world, enum upgrade_step last)
{
    if (last == STEP(ROLLED_BACK) && upgrade_journal_step(&world->journal) != STEP(ROLLING_BACK))
        advance(&world->journal, STEP(ROLLING_BACK));
    advance(&world->journal, last);
}

static void act(struct world *world, enum upgrade_action action)
{
    switch (action) {
    case UPGRADE_ACTION_ABORT_LEASE:
        world->links = LINK_SET_OLD;
        world->server = UPGRADE_SERVER_ROLLED_BACK;
        break;
    case UPGRADE_ACTION_WAIT:
        world->server =
            world->links == LINK_SET_NEW ? UPGRADE_SERVER_COMMITTED : UPGRADE_SERVER_ROLLED_BACK;
        break;
    case UPGRADE_ACTION_START_SERVER:
        world->links = LINK_SET_OLD;
        world->server = UPGRADE_SERVER_ROLLED_BACK;
        break;
    case UPGRADE_ACTION_RESTORE_LINKS:
        if (upgrade_journal_step(&world->journal) != STEP(ROLLING_BACK))
            advance(&world->journal, STEP(ROLLING_BACK));
        assert_int_not_equal(world->links, LINK_SET_FOREIGN);
        world->links = LINK_SET_OLD;
        break;
    case UPGRADE_ACTION_FINISH_COMMIT:
        assert_int_equal(world->links, LINK_SET_NEW);
        finish(world, STEP(COMMITTED));
        break;
    case UPGRADE_ACTION_FINISH_ROLL_BACK:
        assert_int_equal(world->links, LINK_SET_OLD);
        finish(world, STEP(ROLLED_BACK));
        break;
    case UPGRADE_ACTION_DISCARD:
        assert_true(upgrade_journal_step(&world->journal) <= STEP(PREPARED));
        world->is_over = true;
        break;
    case UPGRADE_ACTION_COMPLETE:
        world->is_over = true;
        break;
    case UPGRADE_ACTION_ASK_PERSON:
        world->is_asking = true;
        break;
    case UPGRADE_ACTION_COUNT:
        fail();
    }
}

/* Every history that the table of steps allows, each with every view: recovery ends, says only what
 * is so, and records only what is legal (finish and act demand it). */
static void recover_all(const struct upgrade_journal *journal)
{
    for (unsigned server = 0; server < UPGRADE_SERVER_COUNT; server++) {
        for (unsigned links = LINK_SET_OLD; links <= LINK_SET_FOREIGN; links++) {
            struct world world = {.journal = *journal,
                .server = (enum upgrade_server)server,
                .links = (enum link_set_state)links};
            for (int i = 0; i < TURNS_MAX && !world.is_over && !world.is_asking; i++)
                act(&world, upgrade_recover(&world.journal, world.server, world.links));
            assert_true(world.is_over || world.is_asking);
            if (world.is_asking)
                continue;
            enum upgrade_step last = upgrade_journal_step(&world.journal);
            assert_true(
                last <= STEP(PREPARED) || last == STEP(COMMITTED) || last == STEP(ROLLED_BACK));
            if (last == STEP(COMMITTED) && upgrade_journal_step(journal) != last)
                assert_int_equal(world.links, LINK_SET_NEW);
            if (last == STEP(ROLLED_BACK) && upgrade_journal_step(journal) != last)
                assert_int_equal(world.links, LINK_SET_OLD);
        }
    }
}

static size_t walk(struct upgrade_journal journal)
{
    size_t n = 1;
    recover_all(&journal);
    for (unsigned next = 0; next < UPGRADE_STEP_COUNT; next++) {
        struct upgrade_journal longer = journal;
        if (next == STEP(LEASED) && upgrade_journal_step(&journal) == STEP(LEASING))
            assert_int_equal(upgrade_journal_set_lease(&longer, "3f", NULL), 0);
        if (next != upgrade_journal_step(&journal) &&
            upgrade_journal_advance(&longer, (enum upgrade_step)next, 1, NULL) == 0)
            n += walk(longer);
    }
    return n;
}

static void test_recovery_ends_from_every_history_and_view(void **state)
{
    (void)state;
    assert_in_range(walk(new_journal()), 40, 200);
}

struct expectation {
    enum upgrade_step step;
    bool has_lease;
    enum upgrade_server server;
    enum link_set_state links;
    enum upgrade_action action;
};

static void test_recovery_does_what_the_rules_say(void **state)
{
    (void)state;
#define LEASED(step, server, links, action)                                                        \
    {                                                                                              \
        STEP(step), true, UPGRADE_SERVER_##server, LINK_SET_##links, ACTION(action)                \
    }
#define ALONE(step, links, action)                                                                 \
    {                                                                                              \
        STEP(step), false, UPGRADE_SERVER_NONE, LINK_SET_##links, ACTION(action)                   \
    }
    static const struct expectation expectations[] = {
        ALONE(PREPARING, OLD, DISCARD),
        ALONE(PREPARED, FOREIGN, DISCARD),
        LEASED(LEASING, HELD, OLD, ABORT_LEASE),
        LEASED(LEASING, UNKNOWN, OLD, FINISH_ROLL_BACK),
        LEASED(STOPPING, HELD, OLD, ABORT_LEASE),
        LEASED(STOPPING, NONE, OLD, FINISH_ROLL_BACK),
        LEASED(SWITCHING, HELD, MIXED, ABORT_LEASE),
        LEASED(SWITCHING, NONE, MIXED, RESTORE_LINKS),
        LEASED(SWITCHED, NONE, NEW, RESTORE_LINKS),
        LEASED(SWITCHED, ROLLED_BACK, NEW, RESTORE_LINKS),
        LEASED(SWITCHED, WORKING, NEW, WAIT),
        LEASED(COMMITTING, HELD, NEW, ABORT_LEASE),
        LEASED(COMMITTING, WORKING, NEW, WAIT),
        LEASED(COMMITTING, COMMITTED, NEW, FINISH_COMMIT),
        LEASED(COMMITTING, COMMITTED, OLD, ASK_PERSON),
        LEASED(COMMITTING, ROLLED_BACK, OLD, FINISH_ROLL_BACK),
        LEASED(COMMITTING, FAILED, NEW, ASK_PERSON),
        LEASED(COMMITTING, NONE, NEW, START_SERVER),
        LEASED(COMMITTING, UNKNOWN, NEW, ASK_PERSON),
        LEASED(COMMITTING, UNKNOWN, OLD, FINISH_ROLL_BACK),
        LEASED(COMMITTED, UNKNOWN, FOREIGN, COMPLETE),
        LEASED(ROLLING_BACK, COMMITTED, NEW, FINISH_COMMIT),
        LEASED(ROLLING_BACK, NONE, NEW, RESTORE_LINKS),
        LEASED(ROLLED_BACK, NONE, OLD, COMPLETE),
        ALONE(SWITCHING, OLD, FINISH_ROLL_BACK),
        ALONE(SWITCHING, NEW, FINISH_COMMIT),
        ALONE(SWITCHING, MIXED, RESTORE_LINKS),
        ALONE(SWITCHED, NEW, FINISH_COMMIT),
        ALONE(SWITCHED, FOREIGN, ASK_PERSON),
        ALONE(ROLLING_BACK, NEW, RESTORE_LINKS),
    };
    for (size_t i = 0; i < sizeof expectations / sizeof expectations[0]; i++) {
        const struct expectation *expected = &expectations[i];
        struct upgrade_journal journal = new_journal();
        journal.steps[1] = expected->has_lease ? STEP(LEASING) : STEP(PREPARED);
        journal.steps[2] = expected->step;
        journal.n_steps = 3;
        enum upgrade_action action = upgrade_recover(&journal, expected->server, expected->links);
        if (action != expected->action)
            fail_msg("row %zu: %s", i, upgrade_action_name(action));
    }
}

/* ---- the lock ---- */

static void test_lock_is_for_one_and_ends_with_its_process(void **state)
{
    (void)state;
    const char *path = place_path("upgrade.lock");
    struct upgrade_lock_holder holder = {.pid = 1};
    int told[2];
    char byte = 0;
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = -1;
        if (upgrade_lock_take(path, "flocks update\nto 1.2.0", &fd, NULL, NULL) != 0)
            _exit(1);
        (void)!write(told[1], "x", 1);
        (void)pause();
        _exit(0);
    }
    assert_int_equal(read(told[0], &byte, 1), 1);
    int fd = -1;
    assert_int_equal(upgrade_lock_take(path, "me", &fd, &holder, NULL), UPGRADE_LOCK_HELD);
    assert_int_equal(fd, -1);
    assert_int_equal(holder.pid, pid);
    holder.pid = 0;
    assert_int_equal(upgrade_lock_look(path, &holder, NULL), UPGRADE_LOCK_HELD);
    assert_int_equal(holder.pid, pid);
    assert_string_equal(holder.who, "flocks update to 1.2.0");
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(upgrade_lock_look(path, NULL, NULL), 0);
    assert_int_equal(upgrade_lock_take(path, "me", &fd, NULL, NULL), 0);
    int other = -1;
    assert_int_equal(upgrade_lock_take(path, "me, too", &other, &holder, NULL), UPGRADE_LOCK_HELD);
    assert_int_equal(holder.pid, getpid());
    assert_string_equal(holder.who, "me");
    fd_close(&fd);
    assert_int_equal(upgrade_lock_take(path, "me, too", &other, NULL, NULL), 0);
    fd_close(&other);
    (void)close(told[0]);
    (void)close(told[1]);
}

static void test_lock_can_be_looked_at_without_taking_it(void **state)
{
    (void)state;
    const char *path = place_path("upgrade.lock");
    struct upgrade_lock_holder holder = {.pid = 1};
    int fd = -1;
    assert_int_equal(upgrade_lock_look(path, &holder, NULL), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(upgrade_lock_take(path, "me", &fd, NULL, NULL), 0);
    assert_int_equal(upgrade_lock_look(path, &holder, NULL), UPGRADE_LOCK_HELD);
    assert_int_equal(upgrade_lock_look(path, NULL, NULL), UPGRADE_LOCK_HELD);
    assert_int_equal(holder.pid, getpid());
    assert_string_equal(holder.who, "me");
    fd_close(&fd);
    assert_int_equal(upgrade_lock_look(path, &holder, NULL), 0);
}

static void test_lock_of_a_file_that_was_removed_does_not_count(void **state)
{
    (void)state;
    const char *path = place_path("upgrade.lock");
    int fd = -1;
    int other = -1;
    place_write("upgrade.lock", "nonsense\x01\xff");
    assert_int_equal(upgrade_lock_take(path, "one", &fd, NULL, NULL), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(upgrade_lock_take(path, "two", &other, NULL, NULL), 0);
    assert_non_null(strstr(place_read("upgrade.lock"), " two\n"));
    fd_close(&fd);
    fd_close(&other);
    assert_int_equal(unlink(path), 0);
    place_link("upgrade.lock", "elsewhere");
    assert_true(upgrade_lock_take(path, "three", &fd, NULL, NULL) < 0);
}

int main(void)
{
#define PLACED(test) cmocka_unit_test_setup_teardown(test, place_open, place_close)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_are_recorded_once_and_in_order),
        cmocka_unit_test(test_steps_need_their_facts),
        cmocka_unit_test(test_begin_refuses_bad_names),
        cmocka_unit_test(test_text_is_read_as_it_was_written),
        cmocka_unit_test(test_text_that_is_cut_or_altered_is_refused),
        cmocka_unit_test(test_text_of_other_formats),
        PLACED(test_file_is_replaced_and_removed_whole),
        PLACED(test_file_that_cannot_be_read_is_put_aside),
        PLACED(test_largest_journal_is_read_again),
        cmocka_unit_test(test_recovery_ends_from_every_history_and_view),
        cmocka_unit_test(test_recovery_does_what_the_rules_say),
        PLACED(test_lock_is_for_one_and_ends_with_its_process),
        PLACED(test_lock_can_be_looked_at_without_taking_it),
        PLACED(test_lock_of_a_file_that_was_removed_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
