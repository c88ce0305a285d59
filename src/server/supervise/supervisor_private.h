/* What the files of supervisor.c's noun share. Private to the room. */
#ifndef FLOCKS_SUPERVISE_SUPERVISOR_PRIVATE_H
#define FLOCKS_SUPERVISE_SUPERVISOR_PRIVATE_H

#include "common/config/config.h"
#include "server/supervise/config_plan.h"
#include "server/supervise/events.h"
#include "server/supervise/holder_search.h"
#include "server/supervise/leases.h"
#include "server/supervise/operations.h"
#include "server/supervise/port_events.h"
#include "server/supervise/service.h"
#include "server/supervise/state_store.h"
#include "server/supervise/supervisor.h"
#include "server/supervise/upgrades.h"

enum {
    /* What is only told to people (results of probes, watchdogs in time) is written with the next
     * change that matters, or at once when nothing was written for so long. */
    SUPERVISOR_STALE_MS = 1000,
    /* A start waits this long for a foreign process to leave the port, or for a dependency that
     * cannot become ready, before its operation says so. The service goes on waiting. */
    SUPERVISOR_BLOCKED_PATIENCE_MS = 3000
};

/* How everybody's ports are looked at (supervisor_ports.c). */
struct supervisor_ports {
    struct listener_finder *finder; /* NULL: nobody can say whose sockets are whose */
    struct port_events *events;     /* NULL: the kernel tells nothing unasked */
    bool is_stale;                  /* the ports that are listened for are not those there are */
    bool is_open;
    bool has_poll;
    uv_poll_t poll;
    uv_timer_t search; /* slices of the search for holders */
};

/* What watchers are still to be told, and who they are (supervisor_events.c). */
struct supervisor_news {
    struct events *ring;
    uint64_t kept;        /* number of the last event that the state read at the start knows of */
    struct list services; /* of service.news.link */
    struct list leases;   /* of lease_news */
    struct list watches;  /* of supervisor_watch */
    size_t n_watches;
    bool has_daemon;    /* its status is another */
    bool begins_anew;   /* services came or went */
    uint64_t n_changes; /* how often they did */
};

/* A file as the file system knows it. */
struct file_identity {
    bool exists;
    uint64_t device;
    uint64_t inode;
    int64_t size;
    int64_t modified_ns;
    int64_t changed_ns;
};

/* The configuration file (supervisor_file.c). */
struct supervisor_file {
    uv_signal_t notice;
    uv_timer_t timer;
    int directory_fd;
    struct file_identity seen; /* at the last look */
    bool is_known;
    char digest[CONFIG_DIGEST_SIZE]; /* of what it says; "": a mistake, or nothing */
};

/* The page that stands in for a service while an upgrade lasts (supervisor_page.c). */
struct supervisor_page {
    char service[LEASE_NAME_SIZE]; /* update.holding_page; "": none */
    struct holding_page *page;     /* NULL: it is not open */
    char lease_id[LEASE_ID_SIZE];  /* for which it is open */
    uv_timer_t timer;
    int64_t retry_at;
    bool is_failing; /* said once */
};

/* What a follower has been told (supervisor_health.c). */
struct supervisor_health {
    const struct supervisor_health_follower *follower; /* NULL: nobody */
    size_t n_unwell;                                   /* services that are wanted and not well */
    bool is_told;
    enum supervisor_condition told; /* if is_told */
};

struct supervisor {
    uv_loop_t *loop;
    struct keeper_link *link;
    char root[PATH_MAX];
    char socket[PATH_MAX];
    char run[PATH_MAX];
    char logs[PATH_MAX];
    void (*ended)(void *data);
    void (*lost)(void *data, const struct error *error);
    void (*configured)(void *data);
    void (*replace)(void *data, const char *operation_id);
    void *data;
    void (*closed)(void *data);
    void *closed_data;

    struct state_store *store;
    int64_t saved_at;
    bool is_dirty;
    bool is_store_full; /* said once */
    /* How much of the past has room in it (state_save.c), and when more is tried again. */
    int store_extent;
    int64_t store_retry_at;
    /* flocks.v1.GetConfigResponse; each service has its own part unpacked. */
    uint8_t *packed_config;
    size_t packed_config_len;
    char config_digest[CONFIG_DIGEST_SIZE];
    struct supervisor_door_texts {
        char addresses[SUPERVISOR_DOOR_ADDRESSES_MAX][16];
        size_t n_addresses;
        char problem[512];
    } door;
    const struct config_request *config_request; /* NULL: nothing is planned */
    struct supervisor_file file;
    struct list jobs;    /* of supervisor_job; the first one is read */
    size_t n_asked_jobs; /* plans and applies of them */

    struct service *
        *services; /* in the order of their names; each lives where it is until it ends */
    uint32_t n_services;
    uint32_t run_floor;           /* highest run of services and exec probes that are gone */
    struct service **slots;       /* by the keeper's slot; NULL: free */
    struct service **task_owners; /* that have exec probes, by KEEPER_SLOT_DAEMON - 1 - slot */
    struct operations operations;
    size_t n_waits;
    struct supervisor_news news;
    struct supervisor_health health;
    struct leases leases;
    struct upgrades upgrades;
    struct list upgrade_watches; /* of supervisor_upgrade_watch */
    size_t n_upgrade_watches;
    struct upgrade_care {
        uv_timer_t timer;
        struct list children;    /* runs of flocks-update that are ours to reap */
        struct updater_job *job; /* what is being looked at; NULL: nothing */
        int64_t due_at;          /* of the next look */
        int64_t pause_ms;        /* to the next run, if the last one ended nothing; 0: none did */
    } care;
    struct list upgrade_starts; /* of StartUpdate: runs that are being made */
    uv_timer_t lease_timer;
    struct replacement_job *replacement_job; /* images are being opened; NULL: none */
    struct lease_job *lease_job;             /* what a disk is doing for them; NULL: nothing */
    int64_t record_retry_at;                 /* if is_record_failing */
    bool is_record_dirty;                    /* run/lease.pb says something else than these */
    bool is_record_failing;                  /* said once */
    bool is_lease_turn_due;
    bool are_upgrades_news; /* what their watchers were told may not be so any more */
    bool is_taking_lost;    /* leases of processes that died are being undone; nothing runs yet */
    struct list launches;   /* services whose spawn waits for the state to be written */
    struct list spawns;     /* of spawn_call: answers of the keeper that are awaited */

    struct supervisor_ports ports;
    struct supervisor_page page;
    char notify_path[PATH_MAX];
    struct hearing *hearing; /* supervisor_notify.c; NULL: not yet, or nobody is heard */
    struct process_scan *scan;
    struct sweeper *sweeper;
    struct cgroup_home cgroups;
    uint64_t oom_kills;     /* of the whole machine, as last looked at */
    int64_t looks_since_ns; /* of the window in which quick looks are counted */
    int64_t looks_spent_ns;
    struct process_sessions *sessions;

    uv_prepare_t prepare;
    uv_timer_t operations_timer;
    size_t n_handles;
    uint64_t exits_done;
    int64_t started_wall_ns;
    uint32_t takeovers;
    int32_t pid; /* ours */
    int32_t keeper_pid;
    int notify_fd;            /* borrowed; -1: none */
    uint32_t earlier_keepers; /* that were killed; their children are not this one's */
    char keeper_version[32];
    bool is_fresh;      /* began from a configuration, not from the state */
    bool is_reconciled; /* the keeper's children are known; before that nothing is asked of a
                           service */
    bool is_leaving;    /* a shutdown was asked for */
    bool has_ended;
    bool is_closing;
    bool is_lost;           /* the keeper is gone */
    bool are_strays_reaped; /* in this turn of the loop */
    bool config_changed;    /* the file differs from what runs, as last seen */
    bool has_changes; /* a service took its next configuration: others may have waited for that */
    char replacement[SUPERVISOR_OPERATION_ID_SIZE]; /* as the keeper said Hello */
};

/* A spawn whose answer is awaited. */
struct spawn_call {
    struct list link;        /* in supervisor.spawns */
    struct service *service; /* NULL: the supervisor is gone */
    uint32_t run;
    bool is_task;
};

/* The state must be written before the loop sleeps. */
void supervisor_mark_dirty(struct supervisor *supervisor);
/* ... or something that may be lost for a moment: SUPERVISOR_STALE_MS. */
void supervisor_mark_stale(struct supervisor *supervisor, int64_t now);
/* Writes it now, if it has changed, and then does what had to wait for that. */
void supervisor_save(struct supervisor *supervisor);
/* A service came to rest in a new state, or its operation may go on. */
void supervisor_service_changed(struct service *service, bool state_changed);
/* Issues and ends the steps of the operations that a service is part of, as far as they can. */
void supervisor_advance(struct service *service);
/* Services of an operation, in ascending order of their slots. */
struct supervisor_choice {
    const uint32_t *slots;
    const enum flocks_config_impact *impacts; /* APPLY_CONFIG; else NULL */
    size_t n_slots;
};
/* operations_begin: nothing is told to the services before supervisor_run_operation, which also
 * writes the state. */
NODISCARD int supervisor_queue_operation(struct supervisor *supervisor,
    const struct supervisor_request *request, const struct supervisor_choice *choice,
    struct operation **out, struct error *error);
void supervisor_run_operation(struct supervisor *supervisor, struct operation *operation);
/* Of the supervisor's own; it is freed when the last one is closed. */
void supervisor_close_handle(struct supervisor *supervisor, uv_handle_t *handle);
/* Tells the service what the step wants of it. */
void supervisor_issue(struct service *service, struct operation_step *step);
bool supervisor_step_has_ended(const struct operation_step *step);
/* `message` for people; NULL: what the service says of itself. */
void supervisor_end_step(struct service *service, struct operation_step *step,
    enum flocks_operation_state state, const char *message);
/* -STATUS_NOT_FOUND, UNKNOWN_OPERATION. */
int supervisor_refuse_unknown_operation(const char *id, struct error *error);
/* Nothing runs any more, or nobody can say so: main is told, once. */
void supervisor_end(struct supervisor *supervisor);
/* <logs>/<name>.log */
void supervisor_log_path(
    const struct supervisor *supervisor, const struct service *service, char *out, size_t out_size);
void supervisor_drop_waits(struct supervisor *supervisor);
/* Ends what is overdue, forgets what ended long ago. */
void supervisor_expire_operations(struct supervisor *supervisor);
/* Tells whoever waits for what has changed, and main when a shutdown is done. */
void supervisor_tell_waiters(struct supervisor *supervisor);
/* Of a slot that the keeper, an operation or a dependency named; NULL: none any more. */
static inline struct service *supervisor_at(const struct supervisor *supervisor, uint32_t slot)
{
    return slot < SUPERVISOR_SERVICES_MAX ? supervisor->slots[slot] : NULL;
}
struct service *supervisor_find(const struct supervisor *supervisor, const char *name);
/* -STATUS_NOT_FOUND, with the names there are as hint. */
int supervisor_refuse_unknown(
    const struct supervisor *supervisor, const char *name, struct error *error);

/* supervisor.c */
/* The effective configuration from now on. */
NODISCARD int supervisor_keep_config(
    struct supervisor *supervisor, const flocks_get_config_response *config, struct error *error);
/* Its timer. */
void supervisor_open_service(struct service *service);
/* Nobody finds it any more: what is left of it goes, its memory last. */
void supervisor_close_service(struct service *service);

/* supervisor_services.c */
NODISCARD int supervisor_make_tables(struct supervisor *supervisor, struct error *error);
/* One service per entry of a configuration, each in the slot of its place by name.
 * INVALID_ARGUMENT: too many, or mistaken. */
NODISCARD int supervisor_make_services(
    struct supervisor *supervisor, const flocks_config *config, struct error *error);
/* A service that nobody finds yet. Takes the contents of `spec`, also on failure. */
NODISCARD int supervisor_make_service(struct supervisor *supervisor, const char *name,
    struct service_spec *spec, struct service **out, struct error *error);
/* Puts it among the others: into the wanted slot if that is free, else into another. There must be
 * room (supervisor_slots_needed). Its runs begin above those of whoever had the slot before. */
void supervisor_place_service(struct service *service, uint32_t slot);
/* Out of its place and its slots; nothing waits for it any more. */
void supervisor_take_out_service(struct service *service);
/* All are in their places: their order, and slots for the exec probes of those that have none yet.
 * `is_strict`: what waits for a service that is not there is INVALID_ARGUMENT. */
NODISCARD int supervisor_finish_services(
    struct supervisor *supervisor, bool is_strict, struct error *error);
/* Slots that the services and their exec probes take, or will when what waits for the end of their
 * runs has its turn; at most SUPERVISOR_SERVICES_MAX. */
uint32_t supervisor_slots_needed(const struct supervisor *supervisor);
/* It has, or will have, a slot for exec probes. */
bool supervisor_needs_task_slot(const struct service *service);
/* -STATUS_INVALID_ARGUMENT in words. */
int supervisor_refuse_size(uint32_t n_services, uint32_t n_slots, struct error *error);
/* Memory only: its timer is closed or was never opened. */
void supervisor_free_service(struct service *service);
/* Idempotent, so a take-over does it too: the flocksd before may have died in the middle. */
NODISCARD int supervisor_register_output(struct service *service, struct error *error);
NODISCARD int supervisor_register_outputs(struct supervisor *supervisor, struct error *error);
/* What it waits for, as its configuration says; a name of `after` that no service has, or NULL. */
const char *supervisor_link_service(struct service *service);
void supervisor_unlink_service(struct service *service);
/* One after the other what waits for it, `*at` being 0 at first; NULL: no more. */
struct service *supervisor_next_dependent(const struct service *service, uint32_t *at);
/* The service whose exec probes run there, or NULL. */
struct service *supervisor_task_owner(const struct supervisor *supervisor, uint32_t slot);
/* Gets a slot if it has exec probes and none; gives it up if it has none any more and no probe is
 * alive. */
void supervisor_claim_task_slot(struct service *service);
void supervisor_release_task_slot(struct service *service);
/* As a state had it; left alone if somebody else has it. */
void supervisor_restore_task_slot(struct service *service, uint32_t slot);

/* supervisor_config.c */
/* Whatever is under way finds nobody. */
void supervisor_drop_jobs(struct supervisor *supervisor);
/* The file may have changed: whether it still says what runs is found out beside the loop. */
void supervisor_look_at_file(struct supervisor *supervisor);

/* supervisor_file.c */
void supervisor_file_open(struct supervisor *supervisor);
void supervisor_file_close(struct supervisor *supervisor);
/* Any thread. */
void supervisor_file_identify(const char *path, struct file_identity *out);
/* What the file was found to say; "": a mistake, or nothing. */
void supervisor_file_read(struct supervisor *supervisor, const char *digest);
/* What runs has changed. */
void supervisor_file_compare(struct supervisor *supervisor);

/* supervisor_replace.c */
/* The keeper says how it ended. */
void supervisor_replaced(void *data, const struct keeper_replaced *replaced);
/* One that was under way when this flocksd took over, and that the keeper knows nothing of. */
void supervisor_resume_replacement(struct supervisor *supervisor);
void supervisor_drop_replacement(struct supervisor *supervisor);

/* One handle of ours fewer (supervisor.n_handles); with the last one the memory goes. */
void supervisor_handle_closed(struct supervisor *supervisor);

/* supervisor_apply.c */
/* A text that has been read, and everything that becoming the configuration takes. */
struct supervisor_change {
    const struct config_plan *plan;
    const struct config_diff *diff;
    struct service_spec *specs; /* of diff->services, empty where nothing changed; taken */
    uint8_t **packed;           /* flocks.v1.GetConfigResponse; taken */
    size_t packed_len;
    const char *digest;
    const flocks_config *config; /* borrowed */
};
/* All or nothing; writes the state. ABORTED (LEASE_HELD), RESOURCE_EXHAUSTED. */
NODISCARD int supervisor_commit_change(struct supervisor *supervisor,
    const struct supervisor_request *request, struct supervisor_change *change,
    char out_id[SUPERVISOR_OPERATION_ID_SIZE], struct error *error);
/* At a turn's end: what changed configurations still ask of services goes on, and those are let go
 * that no configuration has any more. */
void supervisor_settle_changes(struct supervisor *supervisor);

/* supervisor_health.c: what the follower hears, as marks become events. */
void supervisor_note_health(struct service *service);
void supervisor_tell_health(struct supervisor *supervisor);
/* The service is no longer one. */
void supervisor_forget_health(struct service *service);

/* supervisor_keeper.c */
/* Asks for the keeper's children; its news are heard from then on. */
NODISCARD int supervisor_reconcile(struct supervisor *supervisor, struct error *error);

/* supervisor_events.c: what watchers will hear, once a turn and after the state has been written.
 * An operation's change is marked by operation_touch. */
/* Its status is another than the last event said; several changes of one turn are one event. */
void supervisor_status_changed(struct service *service);
/* The lease as it is now, complete; copied. */
void supervisor_lease_changed(struct supervisor *supervisor, const flocks_lease *lease);
/* The daemon's own status. */
void supervisor_daemon_changed(struct supervisor *supervisor);
/* Services came or went: every watcher begins anew, with a snapshot. */
void supervisor_services_changed(struct supervisor *supervisor);
/* The ring in the state's memory, once it is known what the state knows of it (news.kept). */
NODISCARD int supervisor_open_events(struct supervisor *supervisor, struct error *error);
void supervisor_close_events(struct supervisor *supervisor);
/* Marks become events: before the state is written ... */
void supervisor_write_events(struct supervisor *supervisor);
/* ... and are told: after it. */
void supervisor_tell_events(struct supervisor *supervisor);
/* There are marks of services, leases or the daemon. */
bool supervisor_has_news(const struct supervisor *supervisor);
/* Before somebody is shown how everything is: what has changed in this turn shall be told by the
 * events before that, not by those behind. Asks nothing of the keeper, unlike supervisor_save,
 * which the turn's end does all the same. */
void supervisor_settle_events(struct supervisor *supervisor);
/* Of the newest one that was told; the arena's. */
const char *supervisor_event_token(const struct supervisor *supervisor, struct arena *arena);
/* Watchers have something to ask for. */
void supervisor_wake_watches(struct supervisor *supervisor);
/* Nobody calls them any more: memory that is still theirs is the watchers'. */
void supervisor_drop_watches(struct supervisor *supervisor);

/* supervisor_leases.c */
/* ABORTED (LEASE_HELD, subject, lease_id) if one of the services is under a lease that is not over:
 * nobody but its commit and its roll-back changes them. */
NODISCARD int leases_refuse(const struct supervisor *supervisor, const uint32_t *slots,
    size_t n_slots, struct error *error);
/* ABORTED (LEASE_ENDED): it is over, or being rolled back, or nobody knows it. */
NODISCARD int leases_check_live(
    const struct supervisor *supervisor, const char *lease_id, struct error *error);
/* May the holder of the lease, which lives, stop them? ABORTED (LEASE_HELD): the server owns the
 * outcome. FAILED_PRECONDITION: one is not under it. */
NODISCARD int leases_check_stop(const struct supervisor *supervisor, const char *lease_id,
    const uint32_t *slots, size_t n_slots, struct error *error);
/* The slots of all services under it; room for every service. */
size_t leases_choose(
    const struct supervisor *supervisor, const char *lease_id, uint32_t *out_slots);
/* A person stopped these (`all`: shuts down): leases that hold one of them end, and they are not
 * wanted any more. */
void leases_stopped(struct supervisor *supervisor, const uint32_t *slots, size_t n_slots, bool all);
/* A person starts these by name: what a roll-back left paused is theirs now. */
void leases_released(struct supervisor *supervisor, const uint32_t *slots, size_t n_slots);
/* A service is another: gates may pass or fail. */
static inline void leases_service_changed(struct supervisor *supervisor)
{
    supervisor->is_lease_turn_due |= !list_is_empty(&supervisor->leases.all);
}

/* lease_operation.c: what a step of COMMIT_UPGRADE or ROLL_BACK means for a service */
bool leases_may_issue(const struct service *service, const struct operation_step *step);
/* SERVICE_EVENT_COUNT: nothing is asked of it. */
enum service_event leases_event_of(
    const struct service *service, const struct operation_step *step);
/* UNSPECIFIED: not decided yet, or, with *out_as_start, as a start is judged. */
enum flocks_operation_state leases_judge(
    const struct service *service, const struct operation_step *step, bool *out_as_start);

/* lease_turn.c */
/* Before anything is started: what run/lease.pb says is undone. DATA_LOSS: it cannot be read, and
 * has been put aside. */
NODISCARD int leases_begin_afresh(struct supervisor *supervisor, struct error *error);
/* What is due, once a turn of the loop. */
void leases_turn(struct supervisor *supervisor);
/* Leases of the flocksd before go on; when the keeper's children are known. */
void leases_resume(struct supervisor *supervisor);
void leases_open(struct supervisor *supervisor);
/* Nothing of them calls anybody any more; the timer is the owner's to close. */
void leases_close(struct supervisor *supervisor);
/* A shutdown has to wait for them. */
bool leases_are_busy(const struct supervisor *supervisor);

/* supervisor_upgrades.c */
/* What the lease belongs to may have something to tell. */
void upgrades_lease_changed(struct lease *lease);
/* Their timer; once the loop is ours. */
void upgrades_open(struct supervisor *supervisor);
/* Upgrades of the flocksd before go on; when its leases do. */
void upgrades_resume(struct supervisor *supervisor);
/* Nothing of them calls anybody any more; the timer is the owner's to close. */
void upgrades_close(struct supervisor *supervisor);

/* upgrade_view.c */
/* Watchers have something to ask for, once a turn and after the state has been written. */
void upgrades_tell(struct supervisor *supervisor);
void upgrade_watches_drop(struct supervisor *supervisor);

/* status.c */
flocks_lease **supervisor_fill_leases(
    const struct supervisor *supervisor, struct arena *arena, size_t *out_n);
/* lease_status.c */
flocks_lease *lease_fill(const struct lease *lease, struct arena *arena);
/* NULL: no memory. */
Google__Protobuf__Timestamp *lease_timestamp(struct arena *arena, int64_t wall_ns);

/* supervisor_page.c */
/* The configuration names its service; before that there is none. */
void supervisor_page_choose(struct supervisor *supervisor, const flocks_config *config);
void supervisor_page_begin(struct supervisor *supervisor);
void supervisor_page_end(struct supervisor *supervisor);
/* Opens or closes it, if that is due; once a turn of the loop. */
void supervisor_page_turn(struct supervisor *supervisor);
/* It answers on the service's host and port: nobody else can have those. */
bool supervisor_page_has_port(const struct service *service);
/* The service is being spawned: its port is free when this returns. */
void supervisor_page_yield(const struct service *service);
/* Where it answers for this lease; NULL: nowhere. */
const union endpoint_address *supervisor_page_of(const struct lease *lease);

/* lease_begin.c */
void leases_tell_waiters(struct supervisor *supervisor);

/* supervisor_ports.c */
/* Without any means services run unchecked, and it is logged. */
void supervisor_ports_init(struct supervisor *supervisor, enum listener_means means);
void supervisor_ports_deinit(struct supervisor *supervisor);
void supervisor_ports_open(struct supervisor *supervisor);
void supervisor_ports_close(struct supervisor *supervisor);
/* Before the loop sleeps and before anything is spawned: listens for the ports there are, if they
 * have changed (ports.is_stale). */
void supervisor_ports_update(struct supervisor *supervisor);
/* Every serving service's ports in the next turn. */
void supervisor_ports_look(struct supervisor *supervisor);
/* Goes on with the search for foreign holders, if one is under way. */
void supervisor_ports_search(struct supervisor *supervisor);
/* supervisor_notify.c */
/* Once the services are known to be what they are. */
void supervisor_hear_begin(struct supervisor *supervisor);
void supervisor_hear_end(struct supervisor *supervisor);
/* Hears what waits in the socket, as much as one turn may. True: there may be more. */
bool supervisor_hear(struct supervisor *supervisor);

/* state_save.c and state_load.c: the state message <-> the supervisor. */
void state_save(struct supervisor *supervisor);
/* Configuration, services with their facts, and operations. */
NODISCARD int state_load(struct supervisor *supervisor, struct error *error);

#endif
