/* A keeper that hangs (stopped by a signal, stuck) answers nothing, and everything that needs it
 * would wait for ever. It is killed, once it is sure: then its death is one as any other. */
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/log.h"
#include "server/keeper/link_internal.h"

static struct link_call *oldest_prompt(const struct keeper_link *link)
{
    LIST_FOR_EACH(at, &link->calls)
    {
        struct link_call *call = CONTAINER_OF(at, struct link_call, in_flight);
        if (call->is_prompt)
            return call;
    }
    return NULL;
}

static void kill_keeper(const struct keeper_link *link)
{
    log_error("keeper does not answer, killed", "pidfd=%d", link->keeper_pidfd);
    /* Its end closes the link, which tells the rest. */
    if (syscall(SYS_pidfd_send_signal, link->keeper_pidfd, SIGKILL, NULL, 0) != 0)
        log_error("keeper cannot be killed", "pidfd=%d", link->keeper_pidfd);
}

/* Twice the same call: the first time may be late because the whole machine stood still, and the
 * answer is about to be read. */
static void on_silence(uv_timer_t *timer)
{
    struct keeper_link *link = timer->data;
    const struct link_call *oldest = oldest_prompt(link);
    if (oldest != NULL && oldest->stream_id == link->silent_stream_id) {
        kill_keeper(link);
        return;
    }
    link->silent_stream_id = oldest != NULL ? oldest->stream_id : 0;
    /* Only spawns wait: their programs may be slow to begin, so the keeper is asked something. */
    if (oldest == NULL)
        link_ping(link);
}

int link_silence_open(struct keeper_link *link, uv_loop_t *loop)
{
    int failure = uv_timer_init(loop, &link->silence);
    link->silence.data = link;
    return failure;
}

void link_silence_began(struct keeper_link *link)
{
    if (link->n_timed++ > 0 || link->keeper_pidfd < 0)
        return;
    link->silent_stream_id = 0;
    /* Cannot fail: it is open and has a callback. */
    (void)uv_timer_start(&link->silence, on_silence, KEEPER_SILENCE_MS, KEEPER_SILENCE_MS);
    uv_unref((uv_handle_t *)&link->silence);
}

void link_silence_ended(struct keeper_link *link)
{
    if (--link->n_timed == 0)
        (void)uv_timer_stop(&link->silence);
}
