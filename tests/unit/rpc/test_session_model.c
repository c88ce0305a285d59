/* Both ends of a ttrpc session against a simple model, in random schedules: opens of every kind,
 * messages, half-closes, ends, cancels and losses, with bytes written and read in pieces of 1 to
 * 4,096. Usage: test_rpc_session_model [SEED [SCHEDULES]]; a failure names its seed. */
#include <stdio.h>
#include <stdlib.h>

#include "session_ends.h"
#include "unit.h"
#include "wire_watch.h"

enum { PIPE_BYTES = 32 * 1024, PIECE_MAX = 4096 };

/* One direction: what was written and not yet read. */
struct direction {
    struct rpc_session *from;
    struct rpc_session *to;
    enum model_side sender;
    struct wire_watch watch;
    uint8_t bytes[PIPE_BYTES];
    size_t len;
};

struct run {
    struct session_ends ends;
    struct direction directions[2];
};

/* ---- bytes ---- */

static void write_some(struct run *run, struct direction *direction, size_t max)
{
    size_t len = 0;
    const uint8_t *bytes = rpc_session_output(direction->from, &len);
    MODEL_CHECK(&run->ends.model, len <= RPC_OUTPUT_HARD_BYTES);
    size_t room = PIPE_BYTES - direction->len;
    len = len < max ? len : max;
    len = len < room ? len : room;
    if (len == 0)
        return;
    wire_watch_see(&direction->watch, bytes, len);
    memcpy(direction->bytes + direction->len, bytes, len);
    direction->len += len;
    rpc_session_sent(direction->from, len);
    /* Frames that waited for room. */
    session_ends_pump(&run->ends, direction->sender);
}

static void read_some(struct run *run, struct direction *direction, size_t max)
{
    size_t len = direction->len < max ? direction->len : max;
    if (len == 0 || !rpc_session_wants_read(direction->to))
        return;
    /* An exact copy, so that the sanitizer sees every byte read too far or too late. */
    uint8_t *copy = malloc(len);
    memcpy(copy, direction->bytes, len);
    direction->len -= len;
    memmove(direction->bytes, direction->bytes + len, direction->len);
    rpc_session_receive(direction->to, copy, len, 0);
    session_ends_pump(&run->ends, direction->sender == MODEL_CLIENT ? MODEL_SERVER : MODEL_CLIENT);
    free(copy);
}

/* ---- schedules ---- */

static void step(struct run *run)
{
    struct direction *direction = &run->directions[model_random(&run->ends.model, 2)];
    switch (model_random(&run->ends.model, 12)) {
    case 0:
    case 1:
        if (model_random(&run->ends.model, run->ends.open_odds) == 0)
            session_ends_begin_call(&run->ends);
        break;
    case 2:
    case 3:
    case 4:
        session_ends_act(&run->ends, MODEL_CLIENT);
        break;
    case 5:
    case 6:
    case 7:
        session_ends_act(&run->ends, MODEL_SERVER);
        break;
    case 8:
    case 9:
        write_some(run, direction, model_piece(&run->ends.model, PIECE_MAX));
        break;
    default:
        read_some(run, direction, model_piece(&run->ends.model, PIECE_MAX));
        break;
    }
}

/* Every handler comes to its end, and all bytes arrive. */
static void settle(struct run *run)
{
    bool is_moving = true;
    while (is_moving && !session_ends_are_broken(&run->ends) && !run->ends.model.is_lost) {
        for (size_t i = 0; i < run->ends.model.n_calls; i++)
            session_ends_settle(&run->ends, &run->ends.model.calls[i]);
        is_moving = false;
        for (int i = 0; i < 2; i++) {
            struct direction *direction = &run->directions[i];
            size_t len = 0;
            (void)rpc_session_output(direction->from, &len);
            is_moving = is_moving || len > 0 || direction->len > 0;
            write_some(run, direction, PIECE_MAX);
            read_some(run, direction, PIECE_MAX);
        }
    }
}

static void join(struct run *run, enum model_side sender)
{
    struct direction *direction = &run->directions[sender];
    direction->sender = sender;
    direction->from = run->ends.sessions[sender];
    direction->to = run->ends.sessions[sender == MODEL_CLIENT ? MODEL_SERVER : MODEL_CLIENT];
    wire_watch_init(&direction->watch, &run->ends.model, sender);
}

/* What a set of schedules has provoked: a test in which nothing happens shows nothing. */
static struct totals {
    size_t n_messages;
    size_t n_overruns;
    size_t n_losses;
    size_t n_unserved;
} totals;

static void count(const struct run *run)
{
    totals.n_messages += run->ends.model.n_messages;
    totals.n_losses += run->ends.model.is_lost;
    for (size_t i = 0; i < run->ends.model.n_calls; i++) {
        totals.n_overruns += run->ends.model.calls[i].is_overrun;
        totals.n_unserved += run->ends.model.calls[i].n_opened == 0;
    }
}

static void run_schedule(uint64_t seed)
{
    static struct run run;
    memset(&run, 0, sizeof run);
    session_ends_open(&run.ends, seed);
    join(&run, MODEL_CLIENT);
    join(&run, MODEL_SERVER);
    size_t n_steps = 200 + model_random(&run.ends.model, 2000);
    for (size_t i = 0;
         i < n_steps && !session_ends_are_broken(&run.ends) && !run.ends.model.is_lost; i++)
        step(&run);
    /* A session breaks only when it was sent to against its word. */
    MODEL_CHECK(&run.ends.model, run.ends.is_sloppy || !session_ends_are_broken(&run.ends));
    run.ends.take_odds = 1;
    settle(&run);
    if (session_ends_are_broken(&run.ends))
        session_ends_lose(&run.ends);
    session_ends_pump(&run.ends, MODEL_CLIENT);
    session_ends_pump(&run.ends, MODEL_SERVER);
    model_check_ended(&run.ends.model);
    count(&run);
    session_ends_close(&run.ends);
}

static uint64_t first_seed = 1;
static uint64_t n_schedules = 250;

static void test_session_model_every_schedule_keeps_to_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + n_schedules; seed++)
        run_schedule(seed);
    print_message("%llu schedules from seed %llu: %zu messages, %zu streams beyond their bound, "
                  "%zu calls taken back or lost, %zu connections lost\n",
        (unsigned long long)n_schedules, (unsigned long long)first_seed, totals.n_messages,
        totals.n_overruns, totals.n_unserved, totals.n_losses);
    if (n_schedules < 100)
        return;
    assert_true(totals.n_messages > 1000 && totals.n_overruns > 10);
    assert_true(totals.n_unserved > 10 && totals.n_losses > 10);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        n_schedules = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_model_every_schedule_keeps_to_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
