#include "client/cli/present_upgrade.h"

#include "flocks/v1/upgrade.info.h"

#include "client/cli/daemon.h"
#include "client/cli/update_message.h"
#include "common/schema/message.h"

static void forget(struct present_upgrade *upgrade)
{
    arena_deinit(&upgrade->arena);
    upgrade->now = NULL;
}

static enum rpc_take take_message(
    void *data, struct flocks_stream *stream, const flocks_watch_upgrade_response *message)
{
    (void)stream;
    struct present_upgrade *upgrade = data;
    const flocks_upgrade_progress *progress = message->progress;
    forget(upgrade);
    if (!progress || update_message_is_end(progress))
        return RPC_TAKE_DONE;
    arena_init(&upgrade->arena, PRESENT_UPGRADE_ARENA_BYTES);
    upgrade->now = (const flocks_upgrade_progress *)schema_message_copy(
        &flocks_upgrade_progress_info, &progress->base, &upgrade->arena);
    return RPC_TAKE_DONE;
}

static void take_end(void *data, struct flocks_stream *stream, const struct flocks_error *failure)
{
    (void)stream;
    (void)failure;
    struct present_upgrade *upgrade = data;
    upgrade->has_ended = true;
}

void present_upgrade_look(struct present_upgrade *upgrade, struct watch *watch)
{
    static const struct flocks_client_watch_upgrade_hooks hooks = {
        .message = take_message, .ended = take_end};
    flocks_watch_upgrade_request request = FLOCKS_WATCH_UPGRADE_REQUEST_INIT;
    struct flocks_error *failure = NULL;
    if (upgrade->has_ended)
        present_upgrade_close(upgrade);
    if (upgrade->stream || !daemon_may_be_upgrading(watch->cli))
        return;
    upgrade->stream =
        flocks_client_watch_upgrade_watch(watch->client, NULL, &request, &hooks, upgrade, &failure);
    flocks_error_free(failure);
}

void present_upgrade_close(struct present_upgrade *upgrade)
{
    flocks_stream_close(upgrade->stream);
    upgrade->stream = NULL;
    upgrade->has_ended = false;
    forget(upgrade);
}
