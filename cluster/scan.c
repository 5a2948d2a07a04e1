/* Longer than 500 lines because all that is known of raft's files is in one place: names, batches, checksums, and
 * how the files fit one another.
 */
#include "cluster/scan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/wire.h"

enum {
    FORMAT = 1,
    METADATA = 32,
    PREAMBLE = 8, /* the two checksums */
    ENTRY_HEAD = 16,
    COMMAND = 1, /* an entry's type */
    SECTOR = 512,
    ENTRIES_MAX = 1 << 20,
    SEGMENT_MAX = 256 * 1024 * 1024 /* of raft's own choice 8 MiB, more for one large entry */
};

static uint32_t crc32_more(uint32_t crc, const uint8_t *at, size_t len)
{
    static uint32_t table[256];
    if (table[1] == 0) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t value = i << 24;
            for (int bit = 0; bit < 8; bit++) {
                value = (value & 0x80000000u) != 0 ? value << 1 ^ 0x04c11db7u : value << 1;
            }
            table[i] = value;
        }
    }
    for (size_t i = 0; i < len; i++)
        crc = crc << 8 ^ table[(crc >> 24 ^ at[i]) & 255];
    return crc;
}

static uint32_t crc32(const uint8_t *at, size_t len)
{
    return crc32_more(0, at, len);
}

static bool is_zero(const uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (at[i] != 0) return false;
    }
    return true;
}

/* The length of the batch at the front of `rest`, or 0 when it does not verify. */
static size_t batch_length(struct slice rest)
{
    const uint8_t *at = (const uint8_t *)rest.at;
    if (rest.len < PREAMBLE + 8) return 0;
    uint64_t count = little_load(at + PREAMBLE, 8);
    if (count == 0 || count > ENTRIES_MAX) return 0;
    size_t header = 8 + (size_t)count * ENTRY_HEAD;
    if (rest.len < PREAMBLE + header) return 0;
    if (crc32(at + PREAMBLE, header) != little_load(at, 4)) return 0;
    size_t data = 0;
    for (uint64_t i = 0; i < count; i++) {
        size_t len = (size_t)little_load(at + PREAMBLE + 8 + i * ENTRY_HEAD + 12, 4);
        data += (len + 7) / 8 * 8;
        if (data > rest.len) return 0;
    }
    if (rest.len < PREAMBLE + header + data) return 0;
    if (crc32(at + PREAMBLE + header, data) != little_load(at + 4, 4)) return 0;
    return PREAMBLE + header + data;
}

struct batches { /* that verify, from the start of a segment on */
    size_t end;  /* of the last of them */
    uint64_t entries, last_term;
};

static struct batches read_batches(struct slice bytes)
{
    struct batches batches = {.end = 8};
    while (batches.end < bytes.len) {
        struct slice rest = slice_skip(bytes, batches.end);
        size_t len = batch_length(rest);
        if (len == 0) break;
        uint64_t count = little_load(rest.at + PREAMBLE, 8);
        batches.entries += count;
        batches.last_term =
            little_load(rest.at + PREAMBLE + 8 + (size_t)(count - 1) * ENTRY_HEAD, 8);
        batches.end += len;
    }
    return batches;
}

/* Is there a sector, aligned in the file, that was never written? */
static bool has_hole(struct slice bytes, size_t from, size_t to)
{
    for (size_t at = (from + SECTOR - 1) / SECTOR * SECTOR; at + SECTOR <= to; at += SECTOR) {
        if (is_zero((const uint8_t *)bytes.at + at, SECTOR)) return true;
    }
    return false;
}

/* Where a batch that verifies begins behind `from`, or bytes.len. Batches begin at multiples of 8. */
static size_t next_batch(struct slice bytes, size_t from)
{
    for (size_t at = from + 8; at + PREAMBLE + 8 + ENTRY_HEAD <= bytes.len; at += 8) {
        const uint8_t *head = (const uint8_t *)bytes.at + at;
        if (is_zero(head, PREAMBLE)) continue;
        if (batch_length(slice_skip(bytes, at)) > 0) return at;
    }
    return bytes.len;
}

int scan_segment(struct slice bytes, struct errmsg *errmsg)
{
    const uint8_t *start = (const uint8_t *)bytes.at;
    if (bytes.len < 8 || is_zero(start, bytes.len)) return 0; /* prepared, never used */
    if (little_load(start, 8) != FORMAT) {
        /* The first sector of the first write may be missing. */
        if (has_hole(bytes, 0, bytes.len < SECTOR ? bytes.len : SECTOR)) return 0;
        errmsg_set(errmsg, "its format is not known");
        return ERR_DATA;
    }
    size_t at = read_batches(bytes).end;
    if (at >= bytes.len || is_zero(start + at, bytes.len - at)) return 0;
    size_t next = next_batch(bytes, at);
    if (next == bytes.len || has_hole(bytes, at, next)) return 0; /* torn */
    errmsg_set(errmsg, "the batch at byte %zu is damaged, and good ones follow at byte %zu", at,
               next);
    return ERR_DATA;
}

/* All of a file; more than SEGMENT_MAX is more than raft would ever write, and is left out. */
static int read_file(const char *path, struct buf *bytes, struct errmsg *errmsg)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        int rv = errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
        errmsg_set(errmsg, "cannot open %s: %s", path, strerror(errno));
        return rv;
    }
    int rv = 0;
    while (rv == 0 && feof(file) == 0) {
        enum { PIECE = 1024 * 1024 };
        size_t before = bytes->len;
        char *into = buf_extend(bytes, PIECE);
        if (into == NULL) break;
        size_t got = fread(into, 1, PIECE, file);
        buf_truncate(bytes, before + got);
        if (ferror(file) != 0) {
            errmsg_set(errmsg, "cannot read %s: %s", path, strerror(errno));
            rv = ERR_IO;
        }
    }
    fclose(file);
    return rv;
}

/* ---- the whole directory ---- */

struct segment {
    uint64_t first, last; /* 0, counter: an open one */
    bool is_open;
};

struct listing {
    const char *dir;
    struct segment *segments;
    size_t count, size;
    uint64_t snapshot[3]; /* term, index, time of the newest; zeros: none */
    struct errmsg *errmsg;
};

enum { PATH_SIZE = 1024 };

static int wrong(struct errmsg *errmsg, const char *dir, const char *name, const char *why)
{
    errmsg_set(errmsg, "%s/%s is damaged: %s", dir, name, why);
    return ERR_DATA;
}

/* "12-34" behind `prefix`: `count` numbers with '-' between them, nothing else. */
static bool parse_name(const char *name, const char *prefix, uint64_t *numbers, size_t count)
{
    struct slice rest = slice_from(name);
    if (!slice_starts(rest, slice_from(prefix))) return false;
    rest = slice_skip(rest, strlen(prefix));
    for (size_t i = 0; i < count; i++) {
        struct slice digits = i + 1 < count ? slice_cut(&rest, '-') : rest;
        if (!slice_to_u64(digits, &numbers[i])) return false;
    }
    return true;
}

static void keep_segment(struct listing *listing, struct segment segment)
{
    if (listing->count == listing->size) {
        listing->size = listing->size == 0 ? 64 : 2 * listing->size;
        listing->segments = mem_grow(listing->segments, listing->size * sizeof *listing->segments);
    }
    listing->segments[listing->count++] = segment;
}

/* Snapshots without a .meta beside them were never finished; raft clears them away. */
static int keep_snapshot(struct listing *listing, const char *name, const uint64_t numbers[3])
{
    char path[PATH_SIZE];
    const uint64_t *best = listing->snapshot;
    int len = snprintf(path, sizeof path, "%s/%s.meta", listing->dir, name);
    if (len < 0 || (size_t)len >= sizeof path) return 0;
    bool is_there;
    int rv = file_exists(path, &is_there, listing->errmsg);
    if (rv != 0 || !is_there) return rv;
    for (size_t i = 0; i < 3; i++) {
        if (numbers[i] < best[i]) return 0;
        if (numbers[i] > best[i]) break;
    }
    memcpy(listing->snapshot, numbers, sizeof listing->snapshot);
    return 0;
}

static int by_place(const void *left, const void *right)
{
    const struct segment *a = left, *b = right;
    if (a->is_open != b->is_open) return a->is_open ? 1 : -1;
    if (a->first != b->first) return a->first > b->first ? 1 : -1;
    return (a->last > b->last) - (a->last < b->last);
}

static int on_name(void *owner, const char *name)
{
    struct listing *listing = owner;
    uint64_t numbers[3];
    if (parse_name(name, "open-", numbers, 1))
        keep_segment(listing, (struct segment){.first = numbers[0], .is_open = true});
    else if (parse_name(name, "snapshot-", numbers, 3))
        return keep_snapshot(listing, name, numbers);
    else if (parse_name(name, "", numbers, 2))
        keep_segment(listing, (struct segment){.first = numbers[0], .last = numbers[1]});
    return 0;
}

static int list(struct listing *listing, struct errmsg *errmsg)
{
    listing->errmsg = errmsg;
    int rv = file_list(listing->dir, on_name, listing, errmsg);
    if (listing->count > 0)
        qsort(listing->segments, listing->count, sizeof *listing->segments, by_place);
    return rv == ERR_NOT_FOUND ? 0 : rv;
}

/* ---- metadata ---- */

struct metadata {
    uint64_t version, term, voted_for; /* version 0: not there, or not written to its end */
};

static int read_metadata(struct metadata *metadata, const char *dir, int which,
                         struct errmsg *errmsg)
{
    char name[16], path[PATH_SIZE];
    struct buf bytes;
    const char *why = NULL;
    snprintf(name, sizeof name, "metadata%d", which);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    buf_init(&bytes, SEGMENT_MAX);
    int rv = read_file(path, &bytes, errmsg);
    *metadata = (struct metadata){.version = 0};
    if (rv == 0 && bytes.len >= METADATA) {
        metadata->version = little_load(bytes.at + 8, 8);
        metadata->term = little_load(bytes.at + 16, 8);
        metadata->voted_for = little_load(bytes.at + 24, 8);
        bool is_odd = metadata->version % 2 == 1;
        if (little_load(bytes.at, 8) != FORMAT)
            why = "its format is not known";
        else if (bytes.len > METADATA || metadata->version == 0 || is_odd != (which == 1))
            why = "its version is impossible";
    }
    if (why != NULL) rv = wrong(errmsg, dir, name, why);
    buf_close(&bytes);
    return rv == ERR_NOT_FOUND ? 0 : rv;
}

static int scan_metadata(struct scan_found *found, const char *dir, struct errmsg *errmsg)
{
    struct metadata files[2];
    for (int i = 0; i < 2; i++) {
        int rv = read_metadata(&files[i], dir, i + 1, errmsg);
        if (rv != 0) return rv;
    }
    bool is_second = files[1].version > files[0].version;
    const struct metadata *newer = &files[is_second], *older = &files[!is_second];
    const char *name = is_second ? "metadata2" : "metadata1";
    /* One alone is fine: raft removes the other one when its writing was cut off. */
    if (older->version > 0 && newer->version - older->version != 1)
        return wrong(errmsg, dir, name, "its version does not follow that of the other one");
    if (older->term > newer->term)
        return wrong(errmsg, dir, name, "its term is before that of the other one");
    found->has_metadata = newer->version > 0;
    found->term = newer->term;
    found->voted_for = newer->voted_for;
    return 0;
}

/* ---- segments ---- */

static const char *take_closed(struct scan_found *found, const struct segment *segment)
{
    if (segment->first == 0 || segment->last < segment->first) return "its name is impossible";
    if (found->segments > 0 && segment->first != found->last + 1)
        return "the entries before it are missing";
    if (found->segments == 0) found->first = segment->first;
    found->last = segment->last;
    found->segments++;
    return NULL;
}

static const char *scan_closed(struct scan_found *found, const struct segment *segment,
                               struct slice bytes)
{
    if (bytes.len < 8 || little_load(bytes.at, 8) != FORMAT) return "its format is not known";
    struct batches batches = read_batches(bytes);
    static char words[80];
    if (batches.end < bytes.len) {
        snprintf(words, sizeof words, "the batch at byte %zu cannot be read", batches.end);
        return words;
    }
    if (batches.entries < segment->last - segment->first + 1)
        return "it has fewer entries than its name says";
    found->last_term = batches.last_term;
    return NULL;
}

static const char *scan_open(struct scan_found *found, struct slice bytes, struct errmsg *reason)
{
    if (scan_segment(bytes, reason) != 0) return reason->text;
    if (bytes.len < 8 || little_load(bytes.at, 8) != FORMAT) return NULL;
    struct batches batches = read_batches(bytes);
    if (batches.entries == 0) return NULL;
    /* Where it begins stands nowhere: behind the closed ones, or behind the snapshot. */
    if (found->segments == 0) {
        found->first = found->snapshot_index + 1;
        found->last = found->snapshot_index;
    }
    found->last += batches.entries;
    found->last_term = batches.last_term;
    found->segments++;
    return NULL;
}

static void segment_path(char path[PATH_SIZE], const char *dir, const struct segment *segment)
{
    if (segment->is_open)
        snprintf(path, PATH_SIZE, "%s/open-%" PRIu64, dir, segment->first);
    else
        snprintf(path, PATH_SIZE, "%s/%016" PRIu64 "-%016" PRIu64, dir, segment->first,
                 segment->last);
}

static int scan_one(struct scan_found *found, const char *dir, const struct segment *segment,
                    enum scan_depth depth, struct errmsg *errmsg)
{
    char path[PATH_SIZE];
    struct buf bytes;
    struct errmsg reason;
    segment_path(path, dir, segment);
    const char *why = segment->is_open ? NULL : take_closed(found, segment);
    if (why != NULL) return wrong(errmsg, dir, path + strlen(dir) + 1, why);
    if (!segment->is_open && depth == SCAN_START) return 0;
    buf_init(&bytes, SEGMENT_MAX);
    int rv = read_file(path, &bytes, errmsg);
    if (rv == 0) {
        why = segment->is_open ? scan_open(found, buf_slice(&bytes), &reason)
                               : scan_closed(found, segment, buf_slice(&bytes));
        if (why != NULL) rv = wrong(errmsg, dir, path + strlen(dir) + 1, why);
    }
    buf_close(&bytes);
    return rv;
}

/* ---- snapshot ---- */

static const char *check_meta(struct slice bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.at;
    if (bytes.len < 32 || little_load(at, 8) != FORMAT) return "its format is not known";
    if (little_load(at + 24, 8) != bytes.len - 32) return "its length is not what it says";
    if (little_load(at + 8, 8) != crc32(at + 16, bytes.len - 16))
        return "its checksum does not match";
    return NULL;
}

static int scan_snapshot(struct scan_found *found, const struct listing *listing,
                         struct errmsg *errmsg)
{
    char name[96], path[PATH_SIZE];
    struct buf bytes;
    struct errmsg reason;
    const uint64_t *numbers = listing->snapshot;
    if (numbers[1] == 0) return 0;
    buf_init(&bytes, SEGMENT_MAX);
    snprintf(name, sizeof name, "snapshot-%" PRIu64 "-%" PRIu64 "-%" PRIu64 ".meta", numbers[0],
             numbers[1], numbers[2]);
    snprintf(path, sizeof path, "%s/%s", listing->dir, name);
    int rv = read_file(path, &bytes, errmsg);
    const char *why = rv == 0 ? check_meta(buf_slice(&bytes)) : NULL;
    if (why != NULL) rv = wrong(errmsg, listing->dir, name, why);
    buf_reset(&bytes);
    name[strlen(name) - 5] = '\0';
    snprintf(path, sizeof path, "%s/%s", listing->dir, name);
    if (rv == 0) rv = read_file(path, &bytes, errmsg);
    if (rv == 0 && manifest_decode(&found->manifest, buf_slice(&bytes), &reason) != 0)
        rv = wrong(errmsg, listing->dir, name, reason.text);
    if (rv == 0 && found->manifest.index != numbers[1])
        rv = wrong(errmsg, listing->dir, name, "its index is not that of its name");
    buf_close(&bytes);
    if (rv != 0) return rv;
    found->has_snapshot = true;
    found->snapshot_term = numbers[0];
    found->snapshot_index = numbers[1];
    return 0;
}

static int check_fit(const struct scan_found *found, const char *dir, struct errmsg *errmsg)
{
    bool has_entries = found->segments > 0;
    if (has_entries && found->first > found->snapshot_index + 1) {
        errmsg_set(errmsg, "%s is damaged: its entries begin at %" PRIu64 ", and %s", dir,
                   found->first,
                   found->has_snapshot ? "the snapshot ends before" : "there is no snapshot");
        return ERR_DATA;
    }
    uint64_t term =
        found->last_term > found->snapshot_term ? found->last_term : found->snapshot_term;
    if ((has_entries || found->has_snapshot) && (!found->has_metadata || found->term < term)) {
        errmsg_set(errmsg,
                   "%s is damaged: the log reaches term %" PRIu64 ", the metadata files %" PRIu64
                   ": votes are forgotten",
                   dir, term, found->has_metadata ? found->term : 0);
        return ERR_DATA;
    }
    return 0;
}

/* How many closed segments at the front are of a log that is no more: all, when they end before the snapshot, or
 * those before the last break, when what is behind it goes on from the snapshot. */
static size_t count_stale(const struct listing *listing)
{
    const struct segment *segments = listing->segments;
    uint64_t index = listing->snapshot[1];
    size_t closed = 0;
    while (closed < listing->count && !segments[closed].is_open)
        closed++;
    if (index == 0 || closed == 0) return 0;
    if (segments[closed - 1].last < index) return closed;
    size_t first = closed - 1;
    while (first > 0 && segments[first - 1].last + 1 == segments[first].first)
        first--;
    bool goes_on = segments[first].first <= index + 1;
    return goes_on && first > 0 && segments[first - 1].last < index ? first : 0;
}

/* Where the log begins: behind those that an installed snapshot has left, if others follow on it. */
static size_t first_segment(const struct scan_found *found, const struct listing *listing)
{
    size_t stale = found->has_snapshot ? count_stale(listing) : 0;
    return stale < listing->count && !listing->segments[stale].is_open ? stale : 0;
}

int scan_raft_dir(struct scan_found *found, const char *raft_dir, enum scan_depth depth,
                  struct errmsg *errmsg)
{
    struct listing listing = {.dir = raft_dir};
    *found = (struct scan_found){.first = 1};
    int rv = list(&listing, errmsg);
    if (rv == 0) rv = scan_metadata(found, raft_dir, errmsg);
    if (rv == 0) rv = scan_snapshot(found, &listing, errmsg);
    for (size_t i = first_segment(found, &listing); rv == 0 && i < listing.count; i++)
        rv = scan_one(found, raft_dir, &listing.segments[i], depth, errmsg);
    mem_free(listing.segments);
    return rv == 0 ? check_fit(found, raft_dir, errmsg) : rv;
}

/* ---- what was left in the middle of something ---- */

/* Then nobody knows on which segment they follow. */
static int has_open_entries(const struct listing *listing, bool *has_some, struct errmsg *errmsg)
{
    int rv = 0;
    *has_some = false;
    for (size_t i = 0; rv == 0 && i < listing->count; i++) {
        char path[PATH_SIZE];
        struct buf bytes;
        if (!listing->segments[i].is_open) continue;
        segment_path(path, listing->dir, &listing->segments[i]);
        buf_init(&bytes, SEGMENT_MAX);
        rv = read_file(path, &bytes, errmsg);
        if (rv == 0 && bytes.len >= 8 && read_batches(buf_slice(&bytes)).entries > 0)
            *has_some = true;
        buf_close(&bytes);
    }
    return rv;
}

static int remove_file(const char *path, struct errmsg *errmsg)
{
    if (unlink(path) == 0 || errno == ENOENT) return 0;
    errmsg_set(errmsg, "cannot remove %s: %s", path, strerror(errno));
    return ERR_IO;
}

static int remove_segments(const struct listing *listing, size_t first, size_t count,
                           struct errmsg *errmsg)
{
    int rv = 0;
    for (size_t i = first; rv == 0 && i < first + count; i++) {
        char path[PATH_SIZE];
        segment_path(path, listing->dir, &listing->segments[i]);
        rv = remove_file(path, errmsg);
    }
    return rv == 0 ? file_sync_directory(listing->dir, errmsg) : rv;
}

static int clear_stale(const struct listing *listing, struct errmsg *errmsg)
{
    struct scan_found found = {.first = 1};
    struct errmsg reason;
    bool is_unclear = false;
    size_t stale = count_stale(listing);
    /* What is wrong with the snapshot scan_raft_dir tells. */
    if (stale == 0 || scan_snapshot(&found, listing, &reason) != 0) return 0;
    bool is_all = stale == listing->count || listing->segments[stale].is_open;
    int rv = is_all ? has_open_entries(listing, &is_unclear, errmsg) : 0;
    if (rv != 0 || is_unclear) return rv;
    log_warn("the raft log before an installed snapshot is removed",
             "first=%" PRIu64 " last=%" PRIu64 " snapshot=%" PRIu64, listing->segments[0].first,
             listing->segments[stale - 1].last, listing->snapshot[1]);
    return remove_segments(listing, 0, stale, errmsg);
}

/* Is it what was to be kept of the one behind it? The shorter one stands before the longer one (by_place). */
static bool is_cut(const struct listing *listing, size_t place)
{
    const struct segment *segment = &listing->segments[place];
    if (place + 1 == listing->count || segment[0].is_open || segment[1].is_open) return false;
    return segment[0].first == segment[1].first;
}

static int clear_truncated(struct listing *listing, struct errmsg *errmsg)
{
    for (size_t i = 0; i < listing->count; i++) {
        struct segment *segment = &listing->segments[i];
        if (!is_cut(listing, i)) continue;
        log_warn("a segment of the raft log that was being cut is whole again",
                 "first=%" PRIu64 " last=%" PRIu64 " cut_at=%" PRIu64, segment[1].first,
                 segment[1].last, segment[0].last);
        int rv = remove_segments(listing, i, 1, errmsg);
        if (rv != 0) return rv;
        memmove(segment, segment + 1, (listing->count - i - 1) * sizeof *segment);
        listing->count--;
        i--;
    }
    return 0;
}

int scan_clear(const char *raft_dir, struct errmsg *errmsg)
{
    struct listing listing = {.dir = raft_dir};
    int rv = list(&listing, errmsg);
    if (rv == 0) rv = clear_truncated(&listing, errmsg);
    if (rv == 0) rv = clear_stale(&listing, errmsg);
    mem_free(listing.segments);
    return rv;
}

int scan_forget_beginning(const char *raft_dir, struct errmsg *errmsg)
{
    static const char *const names[] = {"metadata1", "metadata2"};
    struct listing listing = {.dir = raft_dir};
    int rv = list(&listing, errmsg);
    bool is_first = listing.count == 0 || (listing.count == 1 && !listing.segments[0].is_open &&
                                           listing.segments[0].last == 1);
    bool is_beginning = rv == 0 && is_first && listing.snapshot[1] == 0;
    if (is_beginning) rv = remove_segments(&listing, 0, listing.count, errmsg);
    for (size_t i = 0; is_beginning && rv == 0 && i < sizeof names / sizeof *names; i++) {
        char path[PATH_SIZE];
        snprintf(path, sizeof path, "%s/%s", raft_dir, names[i]);
        rv = remove_file(path, errmsg);
    }
    if (is_beginning && rv == 0) rv = file_sync_directory(raft_dir, errmsg);
    mem_free(listing.segments);
    return rv;
}

/* ---- entries ---- */

struct entries {
    scan_entry_fn on_entry;
    void *owner;
    uint64_t after; /* the last one that was given, or need not be */
    uint64_t last;  /* read, given or not */
};

/* The entries of one batch that verifies, up to the index `until`. */
static int give_batch(struct entries *entries, struct slice batch, uint64_t until)
{
    uint64_t count = little_load(batch.at + PREAMBLE, 8);
    const char *head = batch.at + PREAMBLE + 8;
    const char *data = head + (size_t)count * ENTRY_HEAD;
    for (uint64_t i = 0; i < count && entries->last < until; i++, head += ENTRY_HEAD) {
        size_t len = (size_t)little_load(head + 12, 4);
        bool is_command = head[8] == COMMAND;
        entries->last++;
        if (is_command && entries->last > entries->after) {
            entries->after = entries->last;
            int rv = entries->on_entry(entries->owner, entries->last, slice_make(data, len));
            if (rv != 0) return rv;
        }
        data += (len + 7) / 8 * 8;
    }
    return 0;
}

static int give_segment(struct entries *entries, struct slice bytes, uint64_t until)
{
    if (bytes.len < 8 || little_load(bytes.at, 8) != FORMAT) return 0;
    struct slice rest = slice_skip(bytes, 8);
    for (size_t len = batch_length(rest); len > 0; len = batch_length(rest)) {
        int rv = give_batch(entries, rest, until);
        if (rv != 0) return rv;
        rest = slice_skip(rest, len);
    }
    return 0;
}

/* Sets *is_over when no entry can follow on this segment's. */
static int give_file(struct entries *entries, const char *dir, const struct segment *segment,
                     bool *is_over, struct errmsg *errmsg)
{
    char path[PATH_SIZE];
    struct buf bytes;
    segment_path(path, dir, segment);
    buf_init(&bytes, SEGMENT_MAX);
    int rv = read_file(path, &bytes, errmsg);
    if (rv == 0)
        rv =
            give_segment(entries, buf_slice(&bytes), segment->is_open ? UINT64_MAX : segment->last);
    buf_close(&bytes);
    *is_over = !segment->is_open && entries->last < segment->last;
    return rv;
}

int scan_entries(const char *raft_dir, uint64_t after, scan_entry_fn on_entry, void *owner,
                 uint64_t *last, struct errmsg *errmsg)
{
    struct listing listing = {.dir = raft_dir};
    struct entries entries = {.on_entry = on_entry, .owner = owner, .after = after};
    int rv = list(&listing, errmsg);
    bool is_over = false, has_begun = false;
    for (size_t i = 0; rv == 0 && i < listing.count && !is_over; i++) {
        const struct segment *segment = &listing.segments[i];
        if (is_cut(&listing, i)) continue;
        uint64_t before = segment->is_open ? listing.snapshot[1] : segment->first - 1;
        if (!segment->is_open && entries.last != before) has_begun = false; /* another log's end */
        if (!has_begun && before > after) break;
        if (!has_begun) entries.last = before;
        has_begun = true;
        rv = give_file(&entries, raft_dir, segment, &is_over, errmsg);
    }
    mem_free(listing.segments);
    *last = entries.last > entries.after ? entries.last : entries.after;
    return rv;
}
