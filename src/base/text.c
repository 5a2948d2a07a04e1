/* Two kinds of questions. Those that apply asks on every node (valid, blank, controls, lawful) are
 * answered by fixed lists here, for the nodes of one cluster may run with different versions of
 * utf8proc, that is of Unicode. Those about names, letters and emoji are answered by its tables, once,
 * where the text comes in.
 */
#include "base/text.h"

#include <utf8proc.h>

#include "base/limits.h"
#include "base/mem.h"

enum {
    REPLACEMENT = 0xfffd,
    JOINER = 0x200d,        /* between the parts of one emoji */
    EMOJI_STYLE = 0xfe0f,   /* "the sign before me as an emoji" */
    KEYCAP = 0x20e3,        /* a digit in a box */
    RAW_NAME_MAX = 4 * 1024 /* bytes looked at for a name of 40 or 64 code points */
};

static const uint64_t high_bits = 0x8080808080808080U;

static uint64_t eight_bytes(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Eight bytes from blank to tilde? */
static bool are_plain(uint64_t word)
{
    uint64_t reaches_del = word + 0x0101010101010101U; /* high bit where a byte was 0x7f */
    uint64_t is_low = word - 0x2020202020202020U;      /* and where one was below 0x20 */
    return ((word | reaches_del | is_low) & high_bits) == 0;
}

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Length of the well-formed sequence at `at` of up to `left` bytes, 0 if there is none. Overlong
 * forms, surrogates and what is above U+10FFFF show in the second byte already. */
static size_t sequence_len(const unsigned char *at, size_t left)
{
    unsigned char first = at[0];
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    if (left < 2) return 0;
    if (first < 0xe0) return is_continuation(at[1]) ? 2 : 0;

    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
    if (at[1] < low || at[1] > high) return 0;
    if (left < 3 || !is_continuation(at[2])) return 0;
    if (first < 0xf0) return 3;
    return left >= 4 && is_continuation(at[3]) ? 4 : 0;
}

bool text_valid(struct slice text)
{
    size_t i = 0;
    while (i < text.len) {
        if (text.len - i >= 8 && (eight_bytes(text.at + i) & high_bits) == 0) {
            i += 8;
            continue;
        }
        size_t len = sequence_len((const unsigned char *)text.at + i, text.len - i);
        if (len == 0) return false;
        i += len;
    }
    return true;
}

uint32_t text_next(struct slice *rest)
{
    if (rest->len == 0) return 0;
    const unsigned char *at = (const unsigned char *)rest->at;
    size_t len = sequence_len(at, rest->len);
    uint32_t point;
    switch (len) {
    case 1: point = at[0]; break;
    case 2: point = (uint32_t)(at[0] & 0x1f) << 6 | (at[1] & 0x3f); break;
    case 3:
        point = (uint32_t)(at[0] & 0x0f) << 12 | (uint32_t)(at[1] & 0x3f) << 6 | (at[2] & 0x3f);
        break;
    case 4:
        point = (uint32_t)(at[0] & 0x07) << 18 | (uint32_t)(at[1] & 0x3f) << 12 |
                (uint32_t)(at[2] & 0x3f) << 6 | (at[3] & 0x3f);
        break;
    default: point = REPLACEMENT; break;
    }
    *rest = slice_skip(*rest, len == 0 ? 1 : len);
    return point;
}

size_t text_code_points(struct slice text)
{
    size_t count = text.len;
    size_t i = 0;
    while (i < text.len) {
        if (text.len - i >= 8 && (eight_bytes(text.at + i) & high_bits) == 0) {
            i += 8;
            continue;
        }
        if (is_continuation((unsigned char)text.at[i])) count--;
        i++;
    }
    return count;
}

static bool is_control(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0);
}

/* The categories Zs, Zl, Zp. */
static bool is_space(uint32_t point)
{
    return point == ' ' || point == 0xa0 || point == 0x1680 ||
           (point >= 0x2000 && point <= 0x200a) || point == 0x2028 || point == 0x2029 ||
           point == 0x202f || point == 0x205f || point == 0x3000;
}

/* Takes no room and shows nothing by itself. */
static bool is_invisible(uint32_t point)
{
    return point == 0xad || point == 0x34f || point == 0x61c || point == 0x180e ||
           (point >= 0x200b && point <= 0x200f) || (point >= 0x202a && point <= 0x202e) ||
           (point >= 0x2060 && point <= 0x206f) || (point >= 0xfe00 && point <= 0xfe0f) ||
           point == 0xfeff || (point >= 0xe0000 && point <= 0xe0fff);
}

bool text_blank(struct slice text)
{
    while (text.len > 0) {
        uint32_t point = text_next(&text);
        if (!is_control(point) && !is_space(point) && !is_invisible(point)) return false;
    }
    return true;
}

bool text_has_controls(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        while (text.len - i >= 8 && are_plain(eight_bytes(text.at + i)))
            i += 8;
        if (i == text.len) break;
        unsigned char byte = (unsigned char)text.at[i];
        if (byte >= 0x20 && byte < 0x7f) continue;
        if (byte < 0x80) {
            if (byte != '\n' && byte != '\t') return true;
            continue;
        }
        /* U+0080 to U+009F are c2 80 to c2 9f. */
        if (byte == 0xc2 && i + 1 < text.len && (unsigned char)text.at[i + 1] < 0xa0) return true;
    }
    return false;
}

static void add_point(struct buf *out, uint32_t point)
{
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t len = utf8proc_encode_char((utf8proc_int32_t)point, bytes);
    if (len > 0) buf_append(out, bytes, (size_t)len);
}

/* Appends `text` in NFC. */
static bool add_composed(struct buf *out, struct slice text)
{
    utf8proc_uint8_t *composed = NULL;
    utf8proc_ssize_t len =
        utf8proc_map((const utf8proc_uint8_t *)text.at, (utf8proc_ssize_t)text.len, &composed,
                     UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    /* A name that is refused on one node alone, for want of memory, would part it from the others. */
    if (len == UTF8PROC_ERROR_NOMEM) mem_exhausted(text.len);
    if (len >= 0) buf_append(out, composed, (size_t)len);
    mem_free(composed); /* from malloc, says its manual */
    return len >= 0;
}

static utf8proc_category_t category(uint32_t point)
{
    return utf8proc_category((utf8proc_int32_t)point);
}

static bool is_pictograph(uint32_t point)
{
    return utf8proc_get_property((utf8proc_int32_t)point)->boundclass ==
           UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC;
}

static bool is_skin_tone(uint32_t point)
{
    return point >= 0x1f3fb && point <= 0x1f3ff;
}

/* A joiner belongs between two emoji; elsewhere it would make two names look the same. */
static bool name_point_allowed(uint32_t before, uint32_t point, struct slice rest)
{
    if (point != JOINER) return category(point) != UTF8PROC_CATEGORY_CF && !is_control(point);
    bool after_emoji = is_pictograph(before) || is_skin_tone(before) || before == EMOJI_STYLE;
    return after_emoji && is_pictograph(text_next(&rest));
}

/* White space inside becomes one blank, at the ends nothing. */
static bool add_name(struct buf *out, struct slice composed)
{
    size_t start = out->len;
    uint32_t before = 0;
    bool gap = false;
    while (composed.len > 0) {
        uint32_t point = text_next(&composed);
        if (is_space(point)) {
            gap = true;
            continue;
        }
        if (!name_point_allowed(gap ? 0 : before, point, composed)) return false;
        if (gap && out->len > start) buf_add_char(out, ' ');
        gap = false;
        add_point(out, point);
        before = point;
    }
    struct slice name = slice_skip(buf_slice(out), start);
    return !text_blank(name) && text_code_points(name) <= NAME_CODE_POINTS_MAX &&
           name.len <= NAME_MAX_BYTES;
}

bool text_name(struct buf *out, struct slice raw)
{
    if (raw.len == 0 || raw.len > RAW_NAME_MAX || !text_valid(raw)) return false;
    struct buf composed;
    struct buf name;
    buf_init(&composed, 4 * RAW_NAME_MAX);
    buf_init(&name, 4 * RAW_NAME_MAX);

    bool good = add_composed(&composed, raw) && add_name(&name, buf_slice(&composed));
    good = good && !composed.overflowed && !name.overflowed;
    if (good) buf_add(out, buf_slice(&name));
    buf_close(&composed);
    buf_close(&name);
    return good;
}

static bool is_letter(uint32_t point)
{
    utf8proc_category_t kind = category(point);
    return kind == UTF8PROC_CATEGORY_LU || kind == UTF8PROC_CATEGORY_LL ||
           kind == UTF8PROC_CATEGORY_LT || kind == UTF8PROC_CATEGORY_LM ||
           kind == UTF8PROC_CATEGORY_LO || kind == UTF8PROC_CATEGORY_ND;
}

/* Many scripts write vowels as marks: they belong to letters, so no name starts with one. */
static bool is_mark(uint32_t point)
{
    utf8proc_category_t kind = category(point);
    return (kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_MC) && !is_invisible(point);
}

static uint32_t lower(uint32_t point)
{
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)point);
}

static bool add_room(struct buf *out, struct slice composed)
{
    bool gap = false;
    while (composed.len > 0) {
        uint32_t point = lower(text_next(&composed));
        if (is_space(point)) {
            gap = true;
            continue;
        }
        if (gap && out->len > 0) buf_add_char(out, '-');
        gap = false;
        bool sign = point == '-' || point == '_' || point == '.' || is_mark(point);
        if (!is_letter(point) && !(sign && out->len > 0)) return false;
        add_point(out, point);
    }
    return true;
}

bool text_room_lawful(struct slice name)
{
    if (name.len == 0 || name.len > ROOM_MAX || !text_valid(name)) return false;
    if (text_code_points(name) > ROOM_CODE_POINTS_MAX) return false;
    if (name.at[0] == '-' || name.at[0] == '_' || name.at[0] == '.') return false;
    while (name.len > 0) {
        uint32_t point = text_next(&name);
        if (is_control(point) || is_space(point) || is_invisible(point)) return false;
        bool good = point >= 0x80 || (point >= 'a' && point <= 'z') ||
                    (point >= '0' && point <= '9') || point == '-' || point == '_' || point == '.';
        if (!good) return false;
    }
    return true;
}

bool text_room(struct buf *out, struct slice raw)
{
    if (raw.len == 0 || raw.len > RAW_NAME_MAX || !text_valid(raw)) return false;
    struct buf first;
    struct buf second;
    buf_init(&first, 4 * RAW_NAME_MAX);
    buf_init(&second, 4 * RAW_NAME_MAX);

    /* Lower case may leave what composes anew, so NFC is made before and after. */
    bool good = add_composed(&first, raw) && add_room(&second, buf_slice(&first));
    buf_reset(&first);
    good = good && add_composed(&first, buf_slice(&second));
    good = good && !first.overflowed && !second.overflowed && text_room_lawful(buf_slice(&first));
    if (good) buf_add(out, buf_slice(&first));
    buf_close(&first);
    buf_close(&second);
    return good;
}

void text_lower(struct buf *out, struct slice text)
{
    while (text.len > 0) {
        unsigned char byte = (unsigned char)text.at[0];
        if (byte < 0x80) {
            buf_add_char(out, (char)(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte));
            text = slice_skip(text, 1);
        } else {
            add_point(out, lower(text_next(&text)));
        }
    }
}

/* Cuts the first grapheme off `rest`. */
static struct slice next_grapheme(struct slice *rest)
{
    struct slice whole = *rest;
    utf8proc_int32_t state = 0;
    uint32_t before = text_next(rest);
    while (rest->len > 0) {
        struct slice ahead = *rest;
        uint32_t point = text_next(&ahead);
        if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)point,
                                             &state))
            break;
        *rest = ahead;
        before = point;
    }
    return slice_first(whole, whole.len - rest->len);
}

void text_initial(struct buf *out, struct slice name)
{
    if (name.len == 0) return;
    struct slice grapheme = next_grapheme(&name);
    uint32_t point = text_next(&grapheme);
    add_point(out, (uint32_t)utf8proc_toupper((utf8proc_int32_t)point));
    buf_add(out, grapheme);
}

/* Below U+1F000 most pictographs are shown as text unless EMOJI_STYLE follows. These are not:
 * emoji-data.txt, Emoji_Presentation. */
static bool is_emoji_by_itself(uint32_t point)
{
    static const uint16_t ranges[][2] = {
        {0x231a, 0x231b}, {0x23e9, 0x23ec}, {0x23f0, 0x23f0}, {0x23f3, 0x23f3}, {0x25fd, 0x25fe},
        {0x2614, 0x2615}, {0x2648, 0x2653}, {0x267f, 0x267f}, {0x2693, 0x2693}, {0x26a1, 0x26a1},
        {0x26aa, 0x26ab}, {0x26bd, 0x26be}, {0x26c4, 0x26c5}, {0x26ce, 0x26ce}, {0x26d4, 0x26d4},
        {0x26ea, 0x26ea}, {0x26f2, 0x26f3}, {0x26f5, 0x26f5}, {0x26fa, 0x26fa}, {0x26fd, 0x26fd},
        {0x2705, 0x2705}, {0x270a, 0x270b}, {0x2728, 0x2728}, {0x274c, 0x274c}, {0x274e, 0x274e},
        {0x2753, 0x2755}, {0x2757, 0x2757}, {0x2795, 0x2797}, {0x27b0, 0x27b0}, {0x27bf, 0x27bf},
        {0x2b1b, 0x2b1c}, {0x2b50, 0x2b50}, {0x2b55, 0x2b55}};
    if (point >= 0x1f000) return is_pictograph(point);
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (point >= ranges[i][0] && point <= ranges[i][1]) return true;
    return false;
}

static bool is_emoji(struct slice grapheme)
{
    uint32_t first = text_next(&grapheme);
    uint32_t second = text_next(&grapheme);
    bool flag_letter = first >= 0x1f1e6 && first <= 0x1f1ff;
    if (flag_letter) return second >= 0x1f1e6 && second <= 0x1f1ff;
    bool boxed = (first >= '0' && first <= '9') || first == '#' || first == '*';
    if (boxed) return second == EMOJI_STYLE && text_next(&grapheme) == KEYCAP;
    return is_emoji_by_itself(first) || (is_pictograph(first) && second == EMOJI_STYLE);
}

bool text_only_emoji(struct slice text)
{
    size_t count = 0;
    while (text.len > 0) {
        if (text.at[0] == ' ') {
            text = slice_skip(text, 1);
            continue;
        }
        if (count == 3 || !is_emoji(next_grapheme(&text))) return false;
        count++;
    }
    return count > 0;
}

size_t text_prefix(struct slice text, size_t count)
{
    for (size_t i = 0; i < text.len; i++) {
        if (is_continuation((unsigned char)text.at[i])) continue;
        if (count == 0) return i;
        count--;
    }
    return text.len;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool text_unescape_url(struct buf *out, struct slice text, bool plus)
{
    size_t start = out->len;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_digit(text.at[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text.at[i + 2]) : -1;
            if (low < 0) {
                buf_truncate(out, start);
                return false;
            }
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        buf_add_char(out, c);
    }
    return true;
}

void text_escape_url(struct buf *out, struct slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            buf_add_char(out, (char)c);
        } else {
            char escape[3] = {'%', digits[c >> 4], digits[c & 0xf]};
            buf_append(out, escape, sizeof escape);
        }
    }
}
