/* The inventory's bytes. Host byte order: the file never leaves the machine. */
#ifndef FLOCKS_INVENTORY_LAYOUT_H
#define FLOCKS_INVENTORY_LAYOUT_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/inventory/inventory.h"

enum { INVENTORY_BOOT_ID_SIZE = 40 };

#define INVENTORY_FILE_NAME "inventory"

/* Changes with any change of the layout. */
#define INVENTORY_MAGIC UINT64_C(0x31766e69636f6c66)

struct inventory_entry {
    /* Written last when a record is put, and first when it is cleared. */
    _Atomic uint32_t in_use;
    uint32_t reserved;
    struct inventory_record record;
};

struct inventory {
    uint64_t magic;
    uint32_t record_size;
    uint32_t n_records;
    /* /proc/sys/kernel/random/boot_id: pids of another boot mean nothing. */
    char boot_id[INVENTORY_BOOT_ID_SIZE];
    struct inventory_entry entries[INVENTORY_RECORDS];
};

/* NUL-terminated; "" where it cannot be read. */
void inventory_boot_id(char out[INVENTORY_BOOT_ID_SIZE]);

#endif
