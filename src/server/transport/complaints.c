#include "server/transport/complaints.h"

enum { MINUTE_MS = 60 * 1000 };

static bool was_seen(const struct complaints *complaints, enum complaint_kind kind, int32_t pid)
{
    for (size_t i = 0; i < TRANSPORT_COMPLAINTS_REMEMBERED; i++) {
        const struct complaint_seen *seen = &complaints->seen[i];

        if (seen->is_used && seen->pid == pid && seen->kind == kind)
            return true;
    }
    return false;
}

static void remember(struct complaints *complaints, enum complaint_kind kind, int32_t pid)
{
    complaints->seen[complaints->next] =
        (struct complaint_seen){.pid = pid, .kind = kind, .is_used = true};
    complaints->next = (complaints->next + 1) % TRANSPORT_COMPLAINTS_REMEMBERED;
}

static void forget_unknown(struct complaints *complaints)
{
    for (size_t i = 0; i < TRANSPORT_COMPLAINTS_REMEMBERED; i++) {
        if (complaints->seen[i].pid <= 0)
            complaints->seen[i].is_used = false;
    }
}

bool complaints_admit(struct complaints *complaints, enum complaint_kind kind, int32_t pid,
    int64_t now_ms, uint64_t *out_left_out)
{
    if (now_ms - complaints->minute_began_at >= MINUTE_MS) {
        complaints->minute_began_at = now_ms;
        complaints->in_minute = 0;
        forget_unknown(complaints);
    }
    if (was_seen(complaints, kind, pid) ||
        complaints->in_minute >= TRANSPORT_COMPLAINTS_PER_MINUTE) {
        complaints->left_out++;
        return false;
    }
    remember(complaints, kind, pid);
    complaints->in_minute++;
    *out_left_out = complaints->left_out;
    complaints->left_out = 0;
    return true;
}
