/* The arena: a list of blocks, the newest one served from. */
#include "common/base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define HAS_ASAN 1
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define HAS_ASAN 0
#endif

enum {
    /* Most calls fit in the first block. With its header it is of a size that glibc keeps at hand
     * for each thread (1,032 bytes at most), for a third of the price of a larger one. */
    FIRST_BLOCK_BYTES = 960,
    MAX_BLOCK_BYTES = 64 * 1024,
    /* Between two allocations where somebody watches, so that reading or writing past the end of
     * one is seen. Does not count as used. */
    GAP_BYTES = HAS_ASAN ? _Alignof(max_align_t) : 0
};

struct arena_block {
    struct arena_block *older;
    size_t used;
    size_t capacity;
    _Alignas(max_align_t) uint8_t bytes[];
};

void arena_init(struct arena *arena, size_t cap_bytes)
{
    *arena = (struct arena){.cap_bytes = cap_bytes};
}

void arena_deinit(struct arena *arena)
{
    struct arena_block *block = arena->blocks;
    while (block != NULL) {
        struct arena_block *older = block->older;
        free(block);
        block = older;
    }
    arena_init(arena, arena->cap_bytes);
}

static size_t next_capacity(const struct arena *arena, size_t size)
{
    size_t capacity = FIRST_BLOCK_BYTES;
    if (arena->blocks != NULL) {
        capacity = arena->blocks->capacity * 2;
        capacity = capacity > MAX_BLOCK_BYTES ? MAX_BLOCK_BYTES : capacity;
    }
    return capacity < size ? size : capacity;
}

static struct arena_block *add_block(struct arena *arena, size_t size)
{
    size_t capacity = next_capacity(arena, size);
    struct arena_block *block = malloc(sizeof *block + capacity);
    if (block == NULL)
        return NULL;
    *block = (struct arena_block){.older = arena->blocks, .capacity = capacity};
    arena->blocks = block;
    ASAN_POISON_MEMORY_REGION(block->bytes, capacity);
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t alignment = _Alignof(max_align_t);
    size_t rounded = (size + alignment - 1) / alignment * alignment;
    if (rounded == 0)
        rounded = alignment;
    if (rounded < size || rounded > arena->cap_bytes - arena->used_bytes) {
        arena->exhausted = true;
        return NULL;
    }
    struct arena_block *block = arena->blocks;
    if (block == NULL || rounded + GAP_BYTES > block->capacity - block->used)
        block = add_block(arena, rounded + GAP_BYTES);
    if (block == NULL) {
        arena->exhausted = true;
        return NULL;
    }
    void *memory = block->bytes + block->used;
    ASAN_UNPOISON_MEMORY_REGION(memory, size);
    block->used += rounded + GAP_BYTES;
    arena->used_bytes += rounded;
    return memory;
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        arena->exhausted = true;
        return NULL;
    }
    void *memory = arena_alloc(arena, total);
    if (memory != NULL)
        memset(memory, 0, total);
    return memory;
}

char *arena_strndup(struct arena *arena, const char *text, size_t len)
{
    if (len == SIZE_MAX) {
        arena->exhausted = true;
        return NULL;
    }
    char *copy = arena_alloc(arena, len + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_vprintf(struct arena *arena, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, arguments);
    char *text = len < 0 ? NULL : arena_alloc(arena, (size_t)len + 1);
    if (text != NULL)
        (void)vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = arena_vprintf(arena, format, arguments);
    va_end(arguments);
    return text;
}

bool arena_is_exhausted(const struct arena *arena)
{
    return arena->exhausted;
}
