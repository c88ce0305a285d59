/* The inventory's bytes. Host byte order: the file never leaves the machine. */
#ifndef FLOCKS_INVENTORY_LAYOUT_H
#define FLOCKS_INVENTORY_LAYOUT_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/inventory/inventory.h"

enum { INVENTORY_BOOT_ID_SIZE = 40 };

#define INVENTORY_FILE_NAME "inventory"

/* Changes with any change of the layout. */
#define INVENTORY_MAGIC UINT64_C(0x32766e69636f6c66)

struct inventory_entry {
    /* Written last when a record is put, and first when it is cleared. */
    _Atomic uint32_t in_use;
    /* enum inventory_progress; the wait status is written first. */
    _Atomic uint32_t progress;
    int32_t wait_status;
    uint32_t reserved;
    struct inventory_record record;
};

struct inventory_owner_entry {
    _Atomic int32_t pid;
    _Atomic uint64_t start_ticks;
};

struct inventory_head {
    uint64_t magic;
    uint32_t record_size;
    uint32_t n_records;
    /* /proc/sys/kernel/random/boot_id: pids of another boot mean nothing. */
    char boot_id[INVENTORY_BOOT_ID_SIZE];
    struct inventory_owner_entry owners[INVENTORY_OWNERS];
};

struct inventory {
    struct inventory_head head;
    struct inventory_entry entries[INVENTORY_RECORDS];
};

enum inventory_kinship {
    INVENTORY_IS_OURS,
    /* Of an earlier boot: none of it is believed. */
    INVENTORY_OF_ANOTHER_BOOT,
    /* Not written by this version, or no inventory at all. */
    INVENTORY_IS_FOREIGN
};
enum inventory_kinship inventory_kinship(const struct inventory_head *head);

/* NUL-terminated; "" where it cannot be read. */
void inventory_boot_id(char out[INVENTORY_BOOT_ID_SIZE]);

#endif
