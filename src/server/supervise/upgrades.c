#include "server/supervise/upgrades.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void upgrades_init(struct upgrades *upgrades)
{
    list_init(&upgrades->all);
}

void upgrade_free(struct upgrade *upgrade)
{
    if (upgrade == NULL)
        return;
    assert(upgrade->watch == NULL);
    list_remove(&upgrade->link);
    packed_clear(&upgrade->report);
    free(upgrade);
}

void upgrades_deinit(struct upgrades *upgrades)
{
    LIST_FOR_EACH_SAFE(link, &upgrades->all)
    upgrade_free(CONTAINER_OF(link, struct upgrade, link));
}

bool upgrade_id_is_good(const char *id)
{
    size_t len = strlen(id);

    for (size_t i = 0; i < len; i++) {
        if (!isascii((unsigned char)id[i]) || !isalnum((unsigned char)id[i]))
            return false;
    }
    return len > 0 && len < UPGRADE_ID_SIZE;
}

/* ---- which ones ---- */

size_t upgrades_count(const struct upgrades *upgrades)
{
    size_t n = 0;

    LIST_FOR_EACH(link, &upgrades->all)
    n++;
    return n;
}

struct upgrade *upgrades_find(const struct upgrades *upgrades, const char *id)
{
    LIST_FOR_EACH(link, &upgrades->all)
    {
        struct upgrade *upgrade = CONTAINER_OF(link, struct upgrade, link);

        if (id[0] != '\0' && (strcmp(upgrade->id, id) == 0 || strcmp(upgrade->lease_id, id) == 0))
            return upgrade;
    }
    return NULL;
}

struct upgrade *upgrades_find_request(const struct upgrades *upgrades, const char *request_id)
{
    LIST_FOR_EACH(link, &upgrades->all)
    {
        struct upgrade *upgrade = CONTAINER_OF(link, struct upgrade, link);

        if (request_id[0] != '\0' && strcmp(upgrade->request_id, request_id) == 0)
            return upgrade;
    }
    return NULL;
}

struct upgrade *upgrades_present(const struct upgrades *upgrades)
{
    struct upgrade *found = NULL;

    LIST_FOR_EACH(link, &upgrades->all)
    {
        struct upgrade *upgrade = CONTAINER_OF(link, struct upgrade, link);

        if (!upgrade->is_over)
            found = upgrade;
    }
    return found;
}

struct upgrade *upgrades_latest(const struct upgrades *upgrades)
{
    struct upgrade *found = upgrades_present(upgrades);

    if (found != NULL)
        return found;
    LIST_FOR_EACH(link, &upgrades->all)
    {
        struct upgrade *upgrade = CONTAINER_OF(link, struct upgrade, link);

        if (found == NULL || upgrade->ended_wall_ns >= found->ended_wall_ns)
            found = upgrade;
    }
    return found;
}

/* The oldest that is over; NULL: none is. */
static struct upgrade *find_forgettable(const struct upgrades *upgrades)
{
    LIST_FOR_EACH(link, &upgrades->all)
    {
        struct upgrade *upgrade = CONTAINER_OF(link, struct upgrade, link);

        if (upgrade->is_over)
            return upgrade;
    }
    return NULL;
}

int upgrades_add(struct upgrades *upgrades, const char *id, int64_t began_wall_ns,
    struct upgrade **out, struct error *error)
{
    struct upgrade *upgrade;
    int result;

    assert(upgrade_id_is_good(id));
    if (upgrades_count(upgrades) >= UPGRADES_MAX) {
        upgrade = find_forgettable(upgrades);
        if (upgrade == NULL) {
            result = error_set(
                error, STATUS_RESOURCE_EXHAUSTED, "%d upgrades are under way", (int)UPGRADES_MAX);
            if (error != NULL)
                error->reason = FLOCKS_ERROR_REASON_LIMIT_REACHED;
            return result;
        }
        upgrade_free(upgrade);
    }
    upgrade = calloc(1, sizeof *upgrade);
    if (upgrade == NULL)
        return error_set_errno(error, ENOMEM, "note an upgrade");
    (void)snprintf(upgrade->id, sizeof upgrade->id, "%s", id);
    upgrade->began_wall_ns = began_wall_ns;
    list_append(&upgrades->all, &upgrade->link);
    *out = upgrade;
    return 0;
}

/* ---- what is told ---- */

static int pack_report(
    const flocks_upgrade_progress *progress, struct packed *out, struct error *error)
{
    flocks_upgrade_progress copy = *progress;
    flocks_error_detail detail;

    /* It is told beside the progress, as it is then; and it may be large. */
    if (copy.error != NULL) {
        detail = *copy.error;
        detail.lease = NULL;
        copy.error = &detail;
    }
    out->len = protobuf_c_message_get_packed_size(&copy.base);
    if (out->len > UPGRADE_REPORT_MAX)
        return error_set(error, STATUS_INVALID_ARGUMENT, "a report of more than %d bytes",
            (int)UPGRADE_REPORT_MAX);
    out->bytes = malloc(out->len + 1);
    if (out->bytes == NULL)
        return error_set_errno(error, ENOMEM, "note the progress of an upgrade");
    (void)protobuf_c_message_pack(&copy.base, out->bytes);
    return 0;
}

static bool is_late(const struct upgrade *upgrade, enum flocks_upgrade_step step)
{
    return upgrade->is_over && !upgrade->is_presumed && step != FLOCKS_UPGRADE_STEP_DONE &&
           step != FLOCKS_UPGRADE_STEP_RECOVERING;
}

int upgrade_report(struct upgrade *upgrade, const flocks_upgrade_progress *progress,
    int64_t wall_ns, bool *out_matters, struct error *error)
{
    enum flocks_upgrade_step step = flocks_upgrade_step_from((int)progress->step);
    bool is_over = step == FLOCKS_UPGRADE_STEP_DONE;
    struct packed report = {.bytes = NULL};
    int result;

    *out_matters = false;
    if (is_late(upgrade, step))
        return UPGRADE_LATE;
    result = pack_report(progress, &report, error);
    if (result < 0)
        return result;
    assert(report.bytes != NULL);
    *out_matters = upgrade->report.bytes == NULL || upgrade->step != step ||
                   (is_over && (!upgrade->is_over || report.len != upgrade->report.len ||
                                   memcmp(report.bytes, upgrade->report.bytes, report.len) != 0));
    packed_clear(&upgrade->report);
    upgrade->report = report;
    upgrade->step = step;
    if (is_over && (!upgrade->is_over || upgrade->is_presumed))
        upgrade->ended_wall_ns = wall_ns;
    upgrade->is_over = is_over;
    upgrade->is_presumed = false;
    if (is_over)
        upgrade->is_abort_asked = false;
    if (progress->lease_id[0] != '\0') {
        *out_matters |= strcmp(upgrade->lease_id, progress->lease_id) != 0;
        (void)snprintf(upgrade->lease_id, sizeof upgrade->lease_id, "%s", progress->lease_id);
    }
    return 0;
}
