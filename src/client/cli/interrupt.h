/* Ctrl-C and SIGTERM while the CLI waits for work that goes on without it.
 *
 * The handler itself says so and ends the process: a blocking call needs no cancelling, and there
 * is nothing to clean up. Reading output (`flocks logs`) ends by a flag instead. */
#ifndef FLOCKS_CLI_INTERRUPT_H
#define FLOCKS_CLI_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    /* Longer notices are cut. */
    INTERRUPT_NOTICE_MAX = 512
};

/* From now on SIGINT writes `to_stderr` to descriptor 2 and `to_stdout` to descriptor 1 and exits
 * with 130, SIGTERM with 143. Both texts are copied; may be called again. SIGPIPE is ignored from
 * the first call on. */
void interrupt_exit_with(const char *to_stderr, const char *to_stdout);
/* From now on both only set the flag that interrupt_is_pending reads. They are blocked except in a
 * ppoll(2) with
 * `*out_mask`. */
void interrupt_set_flag(sigset_t *out_mask);
bool interrupt_is_pending(void);
/* As interrupt_set_flag, for a command to which a second Ctrl-C means something else than the
 * first: both are counted. */
void interrupt_count(sigset_t *out_mask);
/* They end this process again, as interrupt_exit_with said; `mask` of interrupt_count. */
void interrupt_count_no_more(const sigset_t *mask);
struct interrupt_counts {
    int n_interrupts; /* SIGINT */
    int n_terminations;
};
/* Since the beginning. */
struct interrupt_counts interrupt_counts(void);
/* As interrupt_set_flag for a command that owns the screen: SIGHUP and SIGQUIT end it too, SIGTSTP
 * (Ctrl-Z) and SIGWINCH (another size) are told. */
void interrupt_watch_screen(sigset_t *out_mask);
enum interrupt_news { INTERRUPT_NONE, INTERRUPT_END, INTERRUPT_SUSPEND, INTERRUPT_RESIZE };
/* What came since the last call, the weightiest first, each once; an end is told for ever. */
enum interrupt_news interrupt_take(void);
/* Stops this process as Ctrl-Z does; answers when it goes on. */
void interrupt_suspend(void);
/* From now on SIGINT is ignored (somebody else in the terminal handles it) and SIGTERM is passed on
 * to `pid`; interrupt_exit_with changes nothing meanwhile. */
void interrupt_forward_to(int pid);
/* That process is gone: both signals end this one again. */
void interrupt_forward_no_more(void);

#endif
