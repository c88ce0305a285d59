#include "server/supervise/sweeper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"

enum {
    /* What a pass keeps on its stack is a few pages of /proc; sanitizers want more. */
    STACK_BYTES = 1024 * 1024,
    HANDLES = 2
};

/* What the two threads share. Lives until both have let it go, so that a pass that hangs cannot
 * keep flocksd from ending. */
struct pass {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    uv_async_t *async; /* NULL: nobody wants to hear any more */
    atomic_bool stop;
    bool is_due;   /* questions wait for the thread */
    bool is_done;  /* answers wait for the loop */
    unsigned refs; /* under the mutex */
    struct process_sweep *sweep;
    struct process_question *questions;
    struct process_answer *answers;
    size_t n;
    size_t capacity;
    int result;
    int64_t took_ms;
};

struct burial {
    struct sweep sweep;
    struct list link;
    int64_t refused_since;
    bool was_empty; /* its leader may have lived until then */
    char what[SWEEPER_WHAT_MAX];
};

struct sweeper {
    struct sweeper_setup setup;
    struct pass *pass;
    bool has_thread;
    bool is_running;
    bool is_closing;
    struct sweep **batch; /* by question; NULL: cancelled */
    struct process_pass *passes;
    size_t n_batch;
    size_t batch_capacity;
    struct list waiting; /* of sweep */
    int64_t next_at;
    int64_t not_before;
    struct list burials;
    size_t n_burials;
    uv_async_t async;
    uv_timer_t timer;
    unsigned n_handles;
    void (*closed)(void *data);
    void *closed_data;
};

static void arm(struct sweeper *sweeper);

/* --- The thread ----------------------------------------------------------------------------------
 */

static void pass_unref(struct pass *pass)
{
    (void)pthread_mutex_lock(&pass->mutex);
    bool is_last = --pass->refs == 0;
    (void)pthread_mutex_unlock(&pass->mutex);
    if (!is_last)
        return;
    process_sweep_free(pass->sweep);
    (void)pthread_cond_destroy(&pass->work);
    (void)pthread_mutex_destroy(&pass->mutex);
    free(pass->questions);
    free(pass->answers);
    free(pass);
}

static void pass_run(struct pass *pass)
{
    int64_t began_at = clock_monotonic_ms();
    pass->result =
        process_sweep_run(pass->sweep, pass->questions, pass->answers, pass->n, &pass->stop, NULL);
    pass->took_ms = clock_monotonic_ms() - began_at;
}

static void *run_thread(void *context)
{
    struct pass *pass = context;
    (void)pthread_mutex_lock(&pass->mutex);
    for (;;) {
        while (!pass->is_due && pass->async != NULL)
            (void)pthread_cond_wait(&pass->work, &pass->mutex);
        if (pass->async == NULL)
            break;
        pass->is_due = false;
        (void)pthread_mutex_unlock(&pass->mutex);
        pass_run(pass);
        (void)pthread_mutex_lock(&pass->mutex);
        pass->is_done = true;
        if (pass->async != NULL)
            (void)uv_async_send(pass->async);
    }
    (void)pthread_mutex_unlock(&pass->mutex);
    pass_unref(pass);
    return NULL;
}

/* Signals are for the loop's thread, which is the one that asks. */
static bool start_thread(struct pass *pass)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pass->refs++;
    bool is_started = pthread_create(&thread, &attributes, run_thread, pass) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (!is_started)
        pass->refs--;
    return is_started;
}

static struct pass *pass_new(uv_async_t *async)
{
    struct pass *pass = calloc(1, sizeof *pass);
    if (pass == NULL || process_sweep_new(&pass->sweep, NULL) < 0) {
        free(pass);
        return NULL;
    }
    (void)pthread_mutex_init(&pass->mutex, NULL);
    (void)pthread_cond_init(&pass->work, NULL);
    pass->refs = 1;
    pass->async = async;
    return pass;
}

/* --- A batch -------------------------------------------------------------------------------------
 */

static bool make_room(struct sweeper *sweeper, size_t n)
{
    struct pass *pass = sweeper->pass;
    if (n > sweeper->batch_capacity) {
        free(sweeper->batch);
        free(sweeper->passes);
        sweeper->batch = calloc(n, sizeof(struct sweep *));
        sweeper->passes = calloc(n, sizeof *sweeper->passes);
        sweeper->batch_capacity = n;
    }
    if (n > pass->capacity) {
        free(pass->questions);
        free(pass->answers);
        pass->questions = calloc(n, sizeof *pass->questions);
        pass->answers = calloc(n, sizeof *pass->answers);
        pass->capacity = n;
    }
    if (sweeper->batch != NULL && sweeper->passes != NULL && pass->questions != NULL &&
        pass->answers != NULL)
        return true;
    sweeper->batch_capacity = pass->capacity = 0;
    return false;
}

static bool was_restless(const struct sweep *sweep)
{
    return sweep->has_earlier && sweep->earlier.strays_before != sweep->earlier.strays_after;
}

/* Who is due a little later comes along. */
static bool is_due(const struct sweep *sweep, int64_t now)
{
    return sweep->due_at <= now + sweep->pace_ms / 4;
}

/* How many are due; when the next of the others is. */
static size_t count_due(struct sweeper *sweeper, int64_t now)
{
    size_t n = 0;
    sweeper->next_at = CLOCK_NEVER;
    LIST_FOR_EACH(link, &sweeper->waiting)
    {
        const struct sweep *sweep = CONTAINER_OF(link, struct sweep, link);
        if (is_due(sweep, now))
            n++;
        else if (sweep->due_at < sweeper->next_at)
            sweeper->next_at = sweep->due_at;
    }
    return n;
}

static void fill_batch(struct sweeper *sweeper, int64_t now)
{
    const struct sweeper_setup *setup = &sweeper->setup;
    sweeper->n_batch = 0;
    LIST_FOR_EACH_SAFE(link, &sweeper->waiting)
    {
        struct sweep *sweep = CONTAINER_OF(link, struct sweep, link);
        size_t place = sweeper->n_batch;
        if (!is_due(sweep, now))
            continue;
        list_remove(&sweep->link);
        sweep->phase = SWEEP_RUNNING;
        sweep->place = place;
        sweep->began_at = now;
        sweep->is_asked = false;
        sweep->question.chases = sweep->question.wish == PROCESS_KILL &&
                                 (was_restless(sweep) || sweep->question.is_uncounted);
        sweeper->batch[place] = sweep;
        sweeper->passes[place].strays_before =
            setup->strays(setup->data, sweep->question.identity.mark);
        sweeper->pass->questions[place] = sweep->question;
        sweeper->n_batch++;
    }
    sweeper->pass->n = sweeper->n_batch;
}

static void hand_over(struct sweeper *sweeper)
{
    struct pass *pass = sweeper->pass;
    sweeper->is_running = true;
    if (!sweeper->has_thread) {
        pass_run(pass);
        pass->is_done = true;
        (void)uv_async_send(&sweeper->async);
        return;
    }
    (void)pthread_mutex_lock(&pass->mutex);
    pass->is_due = true;
    (void)pthread_cond_signal(&pass->work);
    (void)pthread_mutex_unlock(&pass->mutex);
}

static void on_timer(uv_timer_t *timer)
{
    struct sweeper *sweeper = timer->data;
    int64_t now = clock_monotonic_ms();
    size_t n = sweeper->is_running ? 0 : count_due(sweeper, now);
    if (n > 0 && make_room(sweeper, n)) {
        fill_batch(sweeper, now);
        hand_over(sweeper);
    } else if (n > 0) {
        /* No memory. */
        sweeper->next_at = now + SWEEP_PACE_MAX_MS;
    }
    arm(sweeper);
}

static void arm(struct sweeper *sweeper)
{
    int64_t now = clock_monotonic_ms();
    int64_t due_at = sweeper->next_at;
    if (sweeper->is_closing || sweeper->is_running)
        return;
    if (list_is_empty(&sweeper->waiting)) {
        (void)uv_timer_stop(&sweeper->timer);
        return;
    }
    if (due_at < sweeper->not_before)
        due_at = sweeper->not_before;
    /* The loop's own time may be older than ours. */
    uv_update_time(sweeper->setup.loop);
    (void)uv_timer_start(&sweeper->timer, on_timer, due_at > now ? (uint64_t)(due_at - now) : 0, 0);
}

/* --- Answers -------------------------------------------------------------------------------------
 */

static void enqueue(struct sweep *sweep, int64_t due_at)
{
    struct sweeper *sweeper = sweep->sweeper;
    sweep->phase = SWEEP_WAITING;
    sweep->due_at = due_at;
    list_append(&sweeper->waiting, &sweep->link);
    if (due_at < sweeper->next_at)
        sweeper->next_at = due_at;
    arm(sweeper);
}

/* Nothing has happened since the last look: the next one may come later. */
static void set_pace(struct sweep *sweep, const struct process_pass *pass)
{
    const struct process_pass *earlier = &sweep->earlier;
    const struct process_answer *now = &pass->answer;
    bool is_idle = sweep->has_earlier && pass->strays_before == pass->strays_after &&
                   earlier->strays_after == pass->strays_before && now->n_members > 0 &&
                   now->n_members == earlier->answer.n_members;
    bool is_refused = now->n_members > 0 && now->n_refused == now->n_members;
    int64_t most = is_refused ? SWEEP_PACE_REFUSED_MS : SWEEP_PACE_MAX_MS;
    sweep->pace_ms = is_idle ? sweep->pace_ms * 2 : SWEEP_PACE_MIN_MS;
    if (sweep->pace_ms > most)
        sweep->pace_ms = most;
}

static bool is_proven(struct sweep *sweep, const struct process_pass *pass)
{
    bool is_clean = process_pass_proves_empty(sweep->has_earlier ? &sweep->earlier : NULL, pass);
    sweep->n_clean = is_clean ? sweep->n_clean + 1 : 0;
    return sweep->n_clean >= (sweep->question.is_uncounted ? (unsigned)SWEEP_UNCOUNTED_PASSES : 1);
}

static void answer(struct sweeper *sweeper, size_t place, struct process_found *mine)
{
    struct sweep *sweep = sweeper->batch[place];
    struct process_pass *pass = &sweeper->passes[place];
    size_t n_all = 0;
    const struct process_found *all = process_sweep_found(sweeper->pass->sweep, &n_all);
    if (sweep == NULL)
        return;
    if (sweeper->pass->result < 0)
        sweeper->pass->answers[place] = (struct process_answer){.n_members = 0};
    pass->answer = sweeper->pass->answers[place];
    struct sweep_answer answer = {.is_empty = is_proven(sweep, pass),
        .wish = sweeper->pass->questions[place].wish,
        .n_members = pass->answer.n_members,
        .n_refused = pass->answer.n_refused,
        .found = mine};
    for (size_t i = 0; mine != NULL && i < n_all && answer.n_members > 0; i++) {
        if (all[i].question == place)
            mine[answer.n_found++] = all[i];
    }
    set_pace(sweep, pass);
    sweep->earlier = *pass;
    sweep->has_earlier = true;
    sweep->phase = SWEEP_IDLE;
    if (sweep->is_asked)
        enqueue(sweep, clock_monotonic_ms());
    sweep->done(sweep, &answer);
}

/* What is met belongs to nobody's list but this one's: callbacks may change everything else. */
static void answer_all(struct sweeper *sweeper)
{
    const struct sweeper_setup *setup = &sweeper->setup;
    struct process_found *mine = NULL;
    size_t n_found = 0;
    (void)process_sweep_found(sweeper->pass->sweep, &n_found);
    if (n_found > 0)
        mine = calloc(n_found, sizeof *mine);
    for (size_t i = 0; i < sweeper->n_batch; i++)
        sweeper->passes[i].strays_after =
            setup->strays(setup->data, sweeper->pass->questions[i].identity.mark);
    for (size_t i = 0; i < sweeper->n_batch && !sweeper->is_closing; i++)
        answer(sweeper, i, mine);
    free(mine);
}

static void on_async(uv_async_t *async)
{
    struct sweeper *sweeper = async->data;
    struct pass *pass = sweeper->pass;
    if (sweeper->is_closing)
        return;
    (void)pthread_mutex_lock(&pass->mutex);
    bool is_done = pass->is_done;
    pass->is_done = false;
    (void)pthread_mutex_unlock(&pass->mutex);
    if (!is_done)
        return;
    sweeper->not_before = clock_monotonic_ms() + pass->took_ms;
    answer_all(sweeper);
    sweeper->is_running = false;
    arm(sweeper);
}

/* --- Sweeps --------------------------------------------------------------------------------------
 */

void sweep_init(struct sweep *sweep, struct sweeper *sweeper, sweep_done_fn done, void *data)
{
    *sweep = (struct sweep){.sweeper = sweeper, .done = done, .data = data};
    list_init(&sweep->link);
}

static bool is_same_set(const struct process_identity *a, const struct process_identity *b)
{
    return a->leader.pid == b->leader.pid && a->leader.start_ticks == b->leader.start_ticks &&
           a->mark == b->mark && strcmp(a->invocation, b->invocation) == 0;
}

void sweep_cancel(struct sweep *sweep)
{
    if (sweep->sweeper == NULL)
        return;
    if (sweep->phase == SWEEP_RUNNING)
        sweep->sweeper->batch[sweep->place] = NULL;
    list_remove(&sweep->link);
    sweep->phase = SWEEP_IDLE;
    sweep->has_earlier = false;
    sweep->is_asked = false;
    sweep->has_refused = false;
    sweep->n_clean = 0;
    sweep->pace_ms = 0;
}

void sweep_ask(struct sweep *sweep, const struct process_question *question)
{
    bool is_new = !is_same_set(&sweep->question.identity, &question->identity);
    bool is_more = sweep->question.wish != question->wish;
    if (sweep->sweeper->is_closing)
        return;
    if (is_new)
        sweep_cancel(sweep);
    if (is_more)
        sweep->pace_ms = 0;
    sweep->question = *question;
    if (sweep->phase == SWEEP_RUNNING)
        sweep->is_asked = true;
    else if (sweep->phase == SWEEP_IDLE)
        enqueue(sweep, clock_monotonic_ms() + sweep->pace_ms);
    else if (is_more)
        sweep_hurry(sweep);
}

void sweep_hurry(struct sweep *sweep)
{
    int64_t now = clock_monotonic_ms();
    sweep->pace_ms = 0;
    if (sweep->phase != SWEEP_WAITING || sweep->due_at <= now)
        return;
    sweep->due_at = now;
    if (now < sweep->sweeper->next_at)
        sweep->sweeper->next_at = now;
    arm(sweep->sweeper);
}

/* --- Burials -------------------------------------------------------------------------------------
 */

static void end_burial(struct burial *burial)
{
    burial->sweep.sweeper->n_burials--;
    list_remove(&burial->link);
    sweep_cancel(&burial->sweep);
    free(burial);
}

static bool is_hopeless(struct burial *burial, const struct sweep_answer *answer)
{
    int64_t now = clock_monotonic_ms();
    if (answer->n_members == 0 || answer->n_refused < answer->n_members)
        burial->refused_since = now;
    return now - burial->refused_since > SWEEPER_BURIAL_PATIENCE_MS;
}

static void on_buried(struct sweep *sweep, const struct sweep_answer *answer)
{
    struct burial *burial = CONTAINER_OF(sweep, struct burial, sweep);
    for (size_t i = 0; i < answer->n_found; i++) {
        if (answer->found[i].signal_number != 0)
            log_info("leftover killed", "of=\"%s\" pid=%d executable=%s", burial->what,
                (int)answer->found[i].member.id.pid, answer->found[i].member.executable);
    }
    if (answer->is_empty && burial->was_empty) {
        end_burial(burial);
        return;
    }
    burial->was_empty = answer->is_empty;
    if (is_hopeless(burial, answer)) {
        log_error(
            "leftovers cannot be killed", "of=\"%s\" count=%zu", burial->what, answer->n_members);
        end_burial(burial);
    } else {
        sweep_ask(sweep, &sweep->question);
    }
}

void sweeper_bury(
    struct sweeper *sweeper, const struct process_identity *identity, const char *what)
{
    const struct process_question question = {.identity = *identity, .wish = PROCESS_KILL};
    struct burial *burial =
        sweeper->n_burials < SWEEPER_BURIALS_MAX ? calloc(1, sizeof *burial) : NULL;
    if (burial == NULL) {
        log_error("leftovers not looked for", "of=\"%s\"", what);
        return;
    }
    (void)snprintf(burial->what, sizeof burial->what, "%s", what);
    burial->refused_since = clock_monotonic_ms();
    sweep_init(&burial->sweep, sweeper, on_buried, NULL);
    list_append(&sweeper->burials, &burial->link);
    sweeper->n_burials++;
    sweep_ask(&burial->sweep, &question);
}

/* --- Life ----------------------------------------------------------------------------------------
 */

int sweeper_new(const struct sweeper_setup *setup, struct sweeper **out, struct error *error)
{
    struct sweeper *sweeper = calloc(1, sizeof *sweeper);
    if (sweeper == NULL)
        return error_set_errno(error, ENOMEM, "make the sweeper");
    sweeper->setup = *setup;
    sweeper->next_at = CLOCK_NEVER;
    list_init(&sweeper->waiting);
    list_init(&sweeper->burials);
    sweeper->pass = pass_new(&sweeper->async);
    if (sweeper->pass == NULL || uv_async_init(setup->loop, &sweeper->async, on_async) < 0) {
        if (sweeper->pass != NULL)
            pass_unref(sweeper->pass);
        free(sweeper);
        return error_set_errno(error, ENOMEM, "make the sweeper");
    }
    sweeper->async.data = sweeper;
    (void)uv_timer_init(setup->loop, &sweeper->timer);
    sweeper->timer.data = sweeper;
    sweeper->n_handles = HANDLES;
    sweeper->has_thread = start_thread(sweeper->pass);
    if (!sweeper->has_thread)
        log_warn("no thread to look at processes with: flocksd waits for it", "errno=%s",
            error_errno_name(EAGAIN));
    *out = sweeper;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct sweeper *sweeper = handle->data;
    void (*closed)(void *data) = sweeper->closed;
    void *data = sweeper->closed_data;
    if (--sweeper->n_handles > 0)
        return;
    pass_unref(sweeper->pass);
    free(sweeper->batch);
    free(sweeper->passes);
    free(sweeper);
    if (closed != NULL)
        closed(data);
}

void sweeper_close(struct sweeper *sweeper, void (*closed)(void *data), void *data)
{
    struct pass *pass = sweeper->pass;
    sweeper->closed = closed;
    sweeper->closed_data = data;
    LIST_FOR_EACH_SAFE(link, &sweeper->burials)
    end_burial(CONTAINER_OF(link, struct burial, link));
    LIST_FOR_EACH_SAFE(waiting, &sweeper->waiting)
    sweep_cancel(CONTAINER_OF(waiting, struct sweep, link));
    for (size_t i = 0; sweeper->is_running && i < sweeper->n_batch; i++) {
        if (sweeper->batch[i] != NULL)
            sweep_cancel(sweeper->batch[i]);
    }
    sweeper->is_closing = true;
    (void)pthread_mutex_lock(&pass->mutex);
    pass->async = NULL;
    atomic_store(&pass->stop, true);
    (void)pthread_cond_signal(&pass->work);
    (void)pthread_mutex_unlock(&pass->mutex);
    uv_close((uv_handle_t *)&sweeper->async, on_closed);
    uv_close((uv_handle_t *)&sweeper->timer, on_closed);
}
