/* The pages of the event store's file, read without LMDB.
 *
 * LMDB believes its pages: behind a flipped bit in one it may read anywhere, or overwrite what is in use.
 * So whoever has to know looks here first, at a file that nobody writes:
 *
 *   page     number u64 | u16 | flags u16: branch 1, leaf 2, overflow 4, head 8 | lower u16 | upper u16,
 *            or how many pages u32 | places of nodes u16 each, up to lower | nodes, from upper on
 *   node     size of data u32 (in branches, with flags: number of a page) | flags u16: data is on overflow
 *            pages 1, data is a table 2 | size of key u16 | key | data
 *   table    u32 | flags u16 | depth u16 | branch, leaf, overflow pages u64 each | entries u64 | root u64
 *   head     pages 0 and 1: magic, version u32 each | u64 | u64 | the table of free pages (its first u32
 *            is the size of a page) | the table of tables | last page u64 | transaction u64; the one of
 *            the later transaction holds
 *
 * Every page is reached once: from a table or as a free one. Takes a bit of memory for each page.
 */
#pragma once
#include "store/event_store.h"

/* The file below the directory of a store that is not open. 0; ERR_DATA with the first bad page, and in
 * *damage the first event behind those that could be reached, or 0; ERR_IO. */
int pages_check(const char *dir, event_store_progress_fn on_progress, void *owner,
                struct event_store_damage *damage, struct errmsg *errmsg);
