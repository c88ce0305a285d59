#include "children.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "server/supervise/proc_file.h"

void children_begin(void)
{
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
}

/* Any living process whose parent we are. */
static void kill_all_children(void)
{
    struct proc_walk walk;
    assert_int_equal(proc_walk_open(&walk, "/proc"), 0);
    int pid = 0;
    while (proc_walk_next(&walk, &pid)) {
        struct proc_stat stat;
        if (proc_stat_read(pid, &stat) == 0 && stat.parent == getpid())
            (void)kill(pid, SIGKILL);
    }
    proc_walk_close(&walk);
}

void children_end(void)
{
    do {
        kill_all_children();
    } while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
}

pid_t children_run(int (*body)(void *context), void *context)
{
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)setsid();
        close(ready[0]);
        close(ready[1]);
        _exit(body(context));
    }
    close(ready[1]);
    char byte = 0;
    /* The end of the pipe: setsid is done. */
    assert_int_equal(read(ready[0], &byte, 1), 0);
    close(ready[0]);
    return pid;
}

int children_wait(void *context)
{
    (void)context;
    for (;;)
        (void)pause();
}

void children_kill(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)children_reap(pid);
}

int children_reap(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct process_identity children_identity(pid_t pid)
{
    struct process_identity identity;
    memset(&identity, 0, sizeof identity);
    assert_int_equal(process_identify(pid, &identity.leader, NULL), 0);
    return identity;
}
