/* What readers of logs ask: which outputs there are, and how far they have come. */
#include "server/supervise/supervisor_private.h"

_Static_assert((int)SUPERVISOR_OUTPUTS_MAX == (int)KEEPER_SLOTS, "an output is a slot");
_Static_assert((int)SUPERVISOR_OUTPUT_DAEMON == (int)KEEPER_SLOT_DAEMON, "its own slot");

const char *supervisor_logs(const struct supervisor *supervisor)
{
    return supervisor->logs;
}

const char *supervisor_name(const struct supervisor *supervisor, size_t index)
{
    return supervisor->services[index]->name;
}

uint64_t supervisor_changes(const struct supervisor *supervisor)
{
    return supervisor->news.n_changes;
}

int supervisor_find_output(
    const struct supervisor *supervisor, const char *name, uint32_t *out, struct error *error)
{
    const struct service *service = supervisor_find(supervisor, name);

    if (service == NULL)
        return supervisor_refuse_unknown(supervisor, name, error);
    *out = service->slot;
    return 0;
}

void supervisor_get_output(
    const struct supervisor *supervisor, uint32_t output, struct supervisor_output *out)
{
    struct keeper_output_loss counted;

    keeper_link_output_loss(supervisor->link, output, &counted);
    *out = (struct supervisor_output){.written_bytes = counted.written_bytes,
        .lost_bytes = counted.lost_bytes,
        .count_id = counted.memory_id};
}
