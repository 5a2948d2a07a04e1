/* What others say, in the log: byte 0 is 't' for text or 'j' for JSON. It is written as a value that was quoted, and
 * as one that was not, as paths and sentences of the system are. Each is one line, with no byte that a terminal
 * would take for an order, and in JSON a quoted value is what it was.
 */
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "folder.h"

enum { LINES_BYTES_MAX = 64 * 1024, WORDS = 4096, QUOTED_MAX = 512 };

/* Its own address for each line: what repeats is counted by it. */
static const char words[WORDS];

static struct slice read_lines(const char *path, char out[LINES_BYTES_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = read(fd, out, LINES_BYTES_MAX);
    FUZZ_HOLDS(fd >= 0 && len >= 0);
    close(fd);
    return slice_make(out, (size_t)len);
}

static void check_json(struct slice line, struct slice said)
{
    struct json *json = NULL;
    if (slice_find(said, '\0') < said.len) return; /* our own reader takes no NUL */
    FUZZ_HOLDS(json_parse(&json, line, NULL) == 0 && json_type(json) == JSON_T_OBJECT);
    struct slice value = json_slice(json_get(json, "a"));
    while (value.len > 0) /* cut at the size of the place, and each bad byte is a replacement */
        FUZZ_HOLDS(text_next(&value) == text_next(&said));
    json_free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char file[FOLDER_PATH_MAX], lines[LINES_BYTES_MAX];
    static size_t turn;
    char quoted[QUOTED_MAX];
    if (size < 1 || (data[0] != 't' && data[0] != 'j')) return 0;
    struct slice said = slice_make(data + 1, size - 1);
    bool is_json = data[0] == 'j';
    folder_path(file, "log");
    unlink(file);
    FUZZ_HOLDS(log_open(&(struct log_options){.level = LOG_INFO,
                                              .format = is_json ? LOG_JSON : LOG_TEXT,
                                              .file = file,
                                              .node = "tea-1"}) == 0);
    log_info(&words[turn++ % WORDS], "a=%s n=1", log_quote(quoted, sizeof quoted, said));
    log_info(&words[turn++ % WORDS], "path=%.*s n=1", (int)said.len, said.len == 0 ? "" : said.at);
    struct slice rest = read_lines(file, lines);
    for (unsigned number = 0; number < 2; number++) {
        FUZZ_HOLDS(slice_find(rest, '\n') < rest.len);
        struct slice line = slice_cut(&rest, '\n');
        for (size_t i = 0; i < line.len; i++)
            FUZZ_HOLDS((unsigned char)line.at[i] >= ' ' && (is_json || line.at[i] != 0x7f));
        FUZZ_HOLDS(!is_json || (text_valid(line) && line.at[line.len - 1] == '}'));
        if (is_json && number == 0) check_json(line, said);
    }
    FUZZ_HOLDS(rest.len == 0);
    return 0;
}
