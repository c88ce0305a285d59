/* What a keeper is told to go on with: any bytes. What is taken can be left again, and taken. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "server/keeper/renewal.h"
#include "server/keeper/renewal_record.h"
#include "server/keeper/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct keeper keeper;
static struct keeper again;

static void demand(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = ERROR_INIT;
    CLEANUP(fd_close) int fd = -1;
    memset(&keeper, 0, sizeof keeper);
    if (renewal_parse(&keeper, data, size, &error) != 0)
        return 0;
    memset(&again, 0, sizeof again);
    demand(renewal_write(&keeper, &fd) == 0);
    demand(renewal_read(&again, fd, &error) == 0);
    demand(again.children.n_exits == keeper.children.n_exits &&
           again.children.n_processes == keeper.children.n_processes &&
           again.outputs.n_used == keeper.outputs.n_used && again.link.fd == keeper.link.fd);
    return 0;
}
