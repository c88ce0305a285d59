/* Any bytes as run/lease.pb: read or refused, and nothing is added when refused. What follows the
 * first byte is, if that is odd, the body of a record whose checksum is right. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/list.h"
#include "server/supervise/lease_state.h"
#include "server/supervise/state_store.h"

/* lease_state.c's. */
enum { CHECKSUM_SEED = 0x6c656173 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void read_record(const uint8_t *bytes, size_t len)
{
    struct error error = ERROR_INIT;
    struct leases leases;
    struct upgrades upgrades;
    int result;

    leases_init(&leases);
    upgrades_init(&upgrades);
    result = lease_record_unpack(&leases, &upgrades, bytes, len, &error);
    assert(result <= 0 && (result == 0 || list_is_empty(&leases.all)));
    assert(upgrades_count(&upgrades) <= UPGRADES_MAX);
    if (result == 0) {
        uint8_t *again = NULL;
        size_t again_len = 0;

        assert(leases_count(&leases) <= len);
        (void)leases_due_at(&leases);
        if (lease_record_pack(&leases, &upgrades, NULL, NULL, &again, &again_len, NULL) == 0)
            free(again);
    }
    leases_deinit(&leases);
    upgrades_deinit(&upgrades);
}

static void read_body(const uint8_t *bytes, size_t len)
{
    state_lease_record record = STATE_LEASE_RECORD_INIT;
    union {
        const uint8_t *given;
        uint8_t *read; /* packing only reads */
    } body = {.given = bytes};
    uint8_t *packed;

    record.format = 1;
    record.body.data = body.read;
    record.body.len = len;
    record.checksum = len > 0 ? state_checksum(bytes, len, CHECKSUM_SEED) : CHECKSUM_SEED;
    packed = malloc(protobuf_c_message_get_packed_size(&record.base) + 1);
    assert(packed != NULL);
    read_record(packed, protobuf_c_message_pack(&record.base, packed));
    free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len > 0 && (bytes[0] & 1) != 0)
        read_body(bytes + 1, len - 1);
    else
        read_record(bytes, len);
    return 0;
}
