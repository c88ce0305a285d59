/* Every call of flocks.v1 with its own types, on a struct flocks_client. What each does is said
 * beside its messages in flocks/v1/supervisor.names.h and upgrade.names.h, and in libflocks(3).
 *
 * A unary call, here get_status; blocking, and begun on a driven client:
 *
 *     enum rpc_result flocks_client_get_status(struct flocks_client *client,
 *         const struct rpc_options *options, const flocks_get_status_request *request,
 *         const flocks_get_status_response **out, struct flocks_error **error);
 *     struct flocks_pending *flocks_client_get_status_begin(struct flocks_client *client,
 *         const struct rpc_options *options, const flocks_get_status_request *request,
 *         flocks_client_get_status_fn done, void *data, struct flocks_error **error);
 *     done(void *data, const struct flocks_error *error, const flocks_get_status_response
 * *response)
 *
 * A call whose answers stream, here watch_events; blocking, then on a driven client:
 *
 *     struct flocks_stream *flocks_client_watch_events(struct flocks_client *client,
 *         const struct rpc_options *options, const flocks_watch_events_request *request,
 *         struct flocks_error **error);
 *     enum rpc_result flocks_client_watch_events_next(struct flocks_stream *stream,
 *         const flocks_watch_events_response **out, struct flocks_error **error);
 *     struct flocks_stream *flocks_client_watch_events_watch(struct flocks_client *client,
 *         const struct rpc_options *options, const flocks_watch_events_request *request,
 *         const struct flocks_client_watch_events_hooks *hooks, void *data,
 *         struct flocks_error **error); */
#ifndef FLOCKS_CALLS_H
#define FLOCKS_CALLS_H

#include "flocks/client.h"
#include "flocks/v1/supervisor.names.h"
#include "flocks/v1/upgrade.names.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, table, index) */
#define FLOCKS_UNARY_CALLS(X)                                                                      \
    X(get_status, flocks_supervisor_methods, FLOCKS_SUPERVISOR_GET_STATUS)                         \
    X(start_services, flocks_supervisor_methods, FLOCKS_SUPERVISOR_START_SERVICES)                 \
    X(stop_services, flocks_supervisor_methods, FLOCKS_SUPERVISOR_STOP_SERVICES)                   \
    X(restart_services, flocks_supervisor_methods, FLOCKS_SUPERVISOR_RESTART_SERVICES)             \
    X(get_operation, flocks_supervisor_methods, FLOCKS_SUPERVISOR_GET_OPERATION)                   \
    X(cancel_operation, flocks_supervisor_methods, FLOCKS_SUPERVISOR_CANCEL_OPERATION)             \
    X(explain_service, flocks_supervisor_methods, FLOCKS_SUPERVISOR_EXPLAIN_SERVICE)               \
    X(get_config, flocks_supervisor_methods, FLOCKS_SUPERVISOR_GET_CONFIG)                         \
    X(plan_config, flocks_supervisor_methods, FLOCKS_SUPERVISOR_PLAN_CONFIG)                       \
    X(apply_config, flocks_supervisor_methods, FLOCKS_SUPERVISOR_APPLY_CONFIG)                     \
    X(shutdown, flocks_supervisor_methods, FLOCKS_SUPERVISOR_SHUTDOWN)                             \
    X(begin_upgrade, flocks_upgrade_methods, FLOCKS_UPGRADE_BEGIN_UPGRADE)                         \
    X(renew_upgrade, flocks_upgrade_methods, FLOCKS_UPGRADE_RENEW_UPGRADE)                         \
    X(commit_upgrade, flocks_upgrade_methods, FLOCKS_UPGRADE_COMMIT_UPGRADE)                       \
    X(abort_upgrade, flocks_upgrade_methods, FLOCKS_UPGRADE_ABORT_UPGRADE)                         \
    X(start_update, flocks_upgrade_methods, FLOCKS_UPGRADE_START_UPDATE)                           \
    X(report_upgrade, flocks_upgrade_methods, FLOCKS_UPGRADE_REPORT_UPGRADE)                       \
    X(get_upgrade, flocks_upgrade_methods, FLOCKS_UPGRADE_GET_UPGRADE)                             \
    X(replace_daemon, flocks_upgrade_methods, FLOCKS_UPGRADE_REPLACE_DAEMON)

#define FLOCKS_STREAM_CALLS(X)                                                                     \
    X(watch_events, flocks_supervisor_methods, FLOCKS_SUPERVISOR_WATCH_EVENTS)                     \
    X(watch_operation, flocks_supervisor_methods, FLOCKS_SUPERVISOR_WATCH_OPERATION)               \
    X(read_logs, flocks_supervisor_methods, FLOCKS_SUPERVISOR_READ_LOGS)                           \
    X(watch_upgrade, flocks_upgrade_methods, FLOCKS_UPGRADE_WATCH_UPGRADE)

#define FLOCKS_DECLARE_UNARY_CALL(name, table, index)                                              \
    enum rpc_result flocks_client_##name(struct flocks_client *client,                             \
        const struct rpc_options *options, const flocks_##name##_request *request,                 \
        const flocks_##name##_response **out, struct flocks_error **error);                        \
    typedef void (*flocks_client_##name##_fn)(                                                     \
        void *data, const struct flocks_error *error, const flocks_##name##_response *response);   \
    struct flocks_pending *flocks_client_##name##_begin(struct flocks_client *client,              \
        const struct rpc_options *options, const flocks_##name##_request *request,                 \
        flocks_client_##name##_fn done, void *data, struct flocks_error **error);

#define FLOCKS_DECLARE_STREAM_CALL(name, table, index)                                             \
    struct flocks_stream *flocks_client_##name(struct flocks_client *client,                       \
        const struct rpc_options *options, const flocks_##name##_request *request,                 \
        struct flocks_error **error);                                                              \
    enum rpc_result flocks_client_##name##_next(struct flocks_stream *stream,                      \
        const flocks_##name##_response **out, struct flocks_error **error);                        \
    struct flocks_client_##name##_hooks {                                                          \
        enum rpc_take (*message)(                                                                  \
            void *data, struct flocks_stream *stream, const flocks_##name##_response *message);    \
        void (*ended)(void *data, struct flocks_stream *stream, const struct flocks_error *error); \
    };                                                                                             \
    struct flocks_stream *flocks_client_##name##_watch(struct flocks_client *client,               \
        const struct rpc_options *options, const flocks_##name##_request *request,                 \
        const struct flocks_client_##name##_hooks *hooks, void *data,                              \
        struct flocks_error **error);

FLOCKS_UNARY_CALLS(FLOCKS_DECLARE_UNARY_CALL)
FLOCKS_STREAM_CALLS(FLOCKS_DECLARE_STREAM_CALL)

#ifdef __cplusplus
}
#endif
#endif
