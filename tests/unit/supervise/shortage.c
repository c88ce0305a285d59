#include "shortage.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

void shortage_begin(struct shortage *shortage, size_t left)
{
    struct rlimit few;
    int fd;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &shortage->before), 0);
    few = shortage->before;
    few.rlim_cur = SHORTAGE_MAX;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    shortage->n = 0;
    while ((fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0)
        shortage->taken[shortage->n++] = fd;
    assert_int_equal(errno, EMFILE);
    for (; left > 0 && shortage->n > 0; left--)
        (void)close(shortage->taken[--shortage->n]);
}

void shortage_end(struct shortage *shortage)
{
    while (shortage->n > 0)
        (void)close(shortage->taken[--shortage->n]);
    (void)setrlimit(RLIMIT_NOFILE, &shortage->before);
}
