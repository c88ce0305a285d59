/* Health as others ask for it: who is HEALTHY, and whether the whole is well. Told when it has
 * changed, at most once a service and turn of the loop, from the same marks as events. */
#include "server/supervise/supervisor_private.h"

enum told_health { TOLD_NOTHING, TOLD_HEALTHY, TOLD_NOT_HEALTHY };

/* Nothing is wrong while those are ended that one leaves behind which has ended well. */
static bool has_done_its_work(const struct service_facts *facts)
{
    return facts->state == SERVICE_COMPLETED ||
           (facts->state == SERVICE_STOPPING && facts->next == SERVICE_NEXT_COMPLETE);
}

static bool is_unwell(const struct service *service)
{
    const struct service_facts *facts = &service->facts;

    return facts->wanted && facts->state != SERVICE_HEALTHY && !has_done_its_work(facts);
}

static void count(struct service *service, bool unwell)
{
    struct supervisor_health *health = &service->owner->health;

    if (service->news.is_unwell == unwell)
        return;
    service->news.is_unwell = unwell;
    if (unwell)
        health->n_unwell++;
    else
        health->n_unwell--;
}

void supervisor_note_health(struct service *service)
{
    const struct supervisor_health *health = &service->owner->health;
    bool is_healthy = service->facts.state == SERVICE_HEALTHY;
    int now = is_healthy ? TOLD_HEALTHY : TOLD_NOT_HEALTHY;

    if (health->follower == NULL)
        return;
    count(service, is_unwell(service));
    if (service->news.told_health == now)
        return;
    service->news.told_health = now;
    health->follower->service(health->follower->data, service->name, is_healthy);
}

void supervisor_forget_health(struct service *service)
{
    const struct supervisor_health *health = &service->owner->health;

    if (health->follower == NULL || service->news.told_health == TOLD_NOTHING)
        return;
    count(service, false);
    service->news.told_health = TOLD_NOTHING;
    health->follower->gone(health->follower->data, service->name);
}

/* A fresh start has asked nobody for anything before the keeper has told its children. After a
 * take-over the state says how everything is, and nobody shall see a difference. */
static bool is_well(const struct supervisor *supervisor)
{
    return supervisor->health.n_unwell == 0 && (!supervisor->is_fresh || supervisor->is_reconciled);
}

static enum supervisor_condition condition_of(const struct supervisor *supervisor)
{
    if (supervisor->is_leaving)
        return SUPERVISOR_LEAVING;
    return is_well(supervisor) ? SUPERVISOR_WELL : SUPERVISOR_UNWELL;
}

void supervisor_tell_health(struct supervisor *supervisor)
{
    struct supervisor_health *health = &supervisor->health;
    enum supervisor_condition condition = condition_of(supervisor);

    if (health->follower == NULL || (health->is_told && health->told == condition))
        return;
    health->is_told = true;
    health->told = condition;
    health->follower->whole(health->follower->data, condition);
}

void supervisor_follow_health(
    struct supervisor *supervisor, const struct supervisor_health_follower *follower)
{
    supervisor->health = (struct supervisor_health){.follower = follower};
    for (uint32_t i = 0; i < supervisor->n_services; i++) {
        struct service_news *news = &supervisor->services[i]->news;

        news->told_health = TOLD_NOTHING;
        news->is_unwell = false;
        supervisor_note_health(supervisor->services[i]);
    }
    supervisor_tell_health(supervisor);
}
