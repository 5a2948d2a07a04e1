/* What lies in a data directory that somebody, or some disk, has changed. Byte 0:
 *
 *   'V'      VERSION
 *   's' 'S'  a segment of raft's log; 'S': its checksums are put right, for chance would never find them
 *   'd' 'D'  raft's directory: files, each name, newline, length u16, bytes; 'D' likewise
 *
 * Nothing but what is looked at is read, what is wrong is told in one line of text, and reading changes
 * nothing: asked twice, it says the same.
 */
#include <ctype.h>

#include "base/checksum.h"
#include "base/little_endian.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "cluster/scan.h"
#include "folder.h"
#include "store/data_dir.h"

enum { FILES_MAX = 16, NAME_LEN_MAX = 64, PREAMBLE = 8, ENTRY_HEAD = 16, MANIFEST_SUM = 4 };

static void check_words(const struct errmsg *errmsg)
{
    struct slice words = slice_from(errmsg->text);
    FUZZ_HOLDS(words.len > 0 && text_valid(words) && !text_has_controls(words));
}

/* ---- VERSION ---- */

static void read_version(struct slice text)
{
    struct data_dir dir, again;
    struct errmsg errmsg = {""};
    char path[FOLDER_PATH_MAX], version[FOLDER_PATH_MAX];
    folder_path(path, "data");
    (void)mkdir(path, 0700);
    folder_path(version, "data/VERSION");
    folder_write(version, text);
    if (data_dir_open(&dir, path, NULL, &errmsg) != 0) {
        check_words(&errmsg);
        return;
    }
    struct slice node = slice_from(dir.node);
    FUZZ_HOLDS(dir.state != DATA_DIR_EMPTY && node.len > 0);
    FUZZ_HOLDS(text_valid(node) && !text_has_controls(node));
    if (dir.raft_id != 0) { /* what was read can be written, and is then read the same */
        FUZZ_HOLDS(data_dir_mark(&dir, dir.state, &errmsg) == 0);
        data_dir_close(&dir);
        FUZZ_HOLDS(data_dir_open(&again, path, dir.node, &errmsg) == 0);
        FUZZ_HOLDS(again.state == dir.state && again.raft_id == dir.raft_id);
        FUZZ_HOLDS(again.joined == dir.joined && again.has_begun == dir.has_begun);
        FUZZ_HOLDS(memcmp(again.cluster, dir.cluster, sizeof dir.cluster) == 0);
        data_dir_close(&again);
    }
    data_dir_close(&dir);
}

/* ---- checksums put right ---- */

static uint32_t crc32(const char *at, size_t len)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (uint32_t)(unsigned char)at[i] << 24;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x80000000u) != 0 ? crc << 1 ^ 0x04c11db7u : crc << 1;
    }
    return crc;
}

/* All batches that fit, one behind the other. */
static void mend_segment(char *at, size_t len)
{
    for (size_t place = 8; place + PREAMBLE + 8 <= len;) {
        size_t left = len - place - PREAMBLE, data = 0;
        char *head = at + place + PREAMBLE;
        uint64_t count = little_load(head, 8);
        if (count == 0 || count > left / ENTRY_HEAD || 8 + count * ENTRY_HEAD > left) return;
        size_t header = 8 + (size_t)count * ENTRY_HEAD;
        for (uint64_t i = 0; i < count; i++)
            data += ((size_t)little_load(head + 8 + i * ENTRY_HEAD + 12, 4) + 7) / 8 * 8;
        if (data > left - header) return;
        little_store(at + place, crc32(head, header), 4);
        little_store(at + place + 4, crc32(head + header, data), 4);
        place += PREAMBLE + header + data;
    }
}

static void mend_file(const char *name, char *at, size_t len)
{
    struct slice rest = slice_from(name);
    if (!slice_starts(rest, slice_of("snapshot-"))) {
        mend_segment(at, len);
    } else if (strstr(name, ".meta") != NULL && len >= 32) {
        little_store(at + 24, len - 32, 8);
        little_store(at + 8, crc32(at + 16, len - 16), 8);
    } else if (strstr(name, ".meta") == NULL && len >= MANIFEST_SUM) {
        little_store(at + len - MANIFEST_SUM, crc32c(slice_make(at, len - MANIFEST_SUM)),
                     MANIFEST_SUM);
    }
}

/* ---- raft's files ---- */

static void read_segment(struct slice bytes, bool is_mended)
{
    struct errmsg errmsg = {""};
    if (is_mended) mend_segment((char *)(uintptr_t)bytes.at, bytes.len);
    if (scan_segment(bytes, &errmsg) != 0) check_words(&errmsg);
}

/* As raft writes it: else one file would have two names. */
static bool is_file_name(struct slice name)
{
    size_t digits = 0;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.at[i];
        if (!islower(c) && !isdigit(c) && c != '-' && (c != '.' || i == 0)) return false;
        if (c == '0' && digits == 0 && name.len != 33) return false;
        digits = isdigit(c) ? digits + 1 : 0;
        if (name.len == 33 && (i == 16 ? c != '-' : !isdigit(c))) return false;
    }
    bool is_closed = name.len > 0 && isdigit((unsigned char)name.at[0]);
    return name.len > 0 && name.len <= NAME_LEN_MAX && (!is_closed || name.len == 33);
}

static void write_files(struct slice rest, bool is_mended)
{
    for (unsigned files = 0; rest.len > 2 && files < FILES_MAX; files++) {
        char path[FOLDER_PATH_MAX], name[NAME_LEN_MAX + 8];
        struct slice said = slice_cut(&rest, '\n');
        if (!is_file_name(said) || rest.len < 2) return;
        size_t len = (size_t)little_load(rest.at, 2);
        struct slice bytes = slice_first(slice_skip(rest, 2), len);
        rest = slice_skip(rest, 2 + bytes.len);
        snprintf(name, sizeof name, "raft/%.*s", (int)said.len, said.at);
        folder_path(path, name);
        char *copy = mem_copy(bytes.at, bytes.len);
        if (is_mended) mend_file(name + 5, copy, bytes.len);
        folder_write(path, slice_make(copy, bytes.len));
        mem_free(copy);
    }
}

static int on_entry(void *owner, uint64_t index, struct slice bytes)
{
    uint64_t *before = owner;
    uint8_t sum = 0;
    FUZZ_HOLDS(index > *before);
    for (size_t i = 0; i < bytes.len; i++)
        sum = (uint8_t)(sum + (uint8_t)bytes.at[i]);
    *before = index;
    return sum == 0xa5 ? ERR_FORMAT : 0; /* some are not to our liking */
}

static int look(const char *path, enum scan_depth depth, struct scan_found *found)
{
    struct errmsg errmsg = {""};
    int rv = scan_raft_dir(found, path, depth, &errmsg);
    if (rv != 0) check_words(&errmsg);
    FUZZ_HOLDS(rv != 0 || found->segments == 0 || found->first <= found->last + 1);
    return rv;
}

static void read_directory(struct slice bytes, bool is_mended)
{
    struct scan_found found, again;
    struct errmsg errmsg = {""};
    char path[FOLDER_PATH_MAX];
    uint64_t last = 0, given = 0;
    folder_path(path, "raft");
    FUZZ_HOLDS(mkdir(path, 0700) == 0);
    write_files(bytes, is_mended);
    int rv = look(path, SCAN_ALL, &found);
    FUZZ_HOLDS(rv == 0 || rv == ERR_DATA);
    FUZZ_HOLDS(look(path, SCAN_ALL, &again) == rv && found.last == again.last);
    (void)look(path, SCAN_START, &again);
    (void)scan_entries(path, 0, on_entry, &given, &last, &errmsg);
    FUZZ_HOLDS(given <= last);
    FUZZ_HOLDS(scan_clear(path, &errmsg) == 0);
    FUZZ_HOLDS(scan_clear(path, &errmsg) == 0);
    FUZZ_HOLDS(rv != 0 || look(path, SCAN_ALL, &again) == 0); /* what was whole still is */
    FUZZ_HOLDS(scan_forget_beginning(path, &errmsg) == 0);
    folder_remove(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct log_options quiet = {.level = LOG_ERROR};
    if (size < 1) return 0;
    log_open(&quiet);
    char *copy = mem_copy(data + 1, size - 1);
    struct slice rest = slice_make(copy, size - 1);
    switch (data[0]) {
    case 'V': read_version(rest); break;
    case 's':
    case 'S': read_segment(rest, data[0] == 'S'); break;
    case 'd':
    case 'D': read_directory(rest, data[0] == 'D'); break;
    default: break;
    }
    mem_free(copy);
    return 0;
}
