/* Code points, names, words: the door to utf8proc.
 *
 * Text is UTF-8, checked once where it comes in (text_valid) and escaped once where it goes out.
 * All functions are pure; what they make goes into a buffer of the caller.
 */
#pragma once
#include "base/buf.h"

/* Well-formed UTF-8: no surrogates, no overlong forms, nothing above U+10FFFF. */
bool text_valid(struct slice text);

/* Takes one code point off the front. U+FFFD for bytes that are not UTF-8 (one byte is taken), 0 at
 * the end. */
uint32_t text_next(struct slice *rest);

/* Of valid text. */
size_t text_code_points(struct slice text);

/* Nothing in it that can be seen: white space (the Z* categories), controls, U+200B, U+FEFF and the
 * like. A fixed list, the same whatever version utf8proc has: apply asks it on every node. */
bool text_blank(struct slice text);

/* A control character (Cc, a NUL among them) besides newline and tab; a message may not hold one.
 * A fixed list too. */
bool text_has_controls(struct slice text);

/* A person's name into `out` (appended): NFC, trimmed, inner white space single. False, with
 * nothing appended, if it is not 1 to NAME_CODE_POINTS_MAX code points, or has control or
 * direction-override characters (categories Cc, Cf; U+200D between emoji is fine). */
bool text_name(struct buf *out, struct slice raw);

/* A room's name into `out` (appended): NFC, lower case, blanks become '-'; letters, digits, '-',
 * '_', '.'; first a letter or digit; 1 to ROOM_CODE_POINTS_MAX code points, at most ROOM_MAX
 * bytes. False, with nothing appended, for anything else. Reserved words are the router's matter. */
bool text_room(struct buf *out, struct slice raw);

/* What text_room gives looks so to every version of Unicode's tables: valid UTF-8, the limits, no
 * controls, ASCII only as allowed, the first no '-', '_', '.'. Every name from text_room is lawful;
 * apply asks this, for nodes with an older and a newer utf8proc must agree. */
bool text_room_lawful(struct slice name);

/* Lower case by Unicode, appended; for words that are compared (mentions). */
void text_lower(struct buf *out, struct slice text);

/* The first grapheme, for a coloured square; upper case if it has one. Appended. */
void text_initial(struct buf *out, struct slice name);

/* One to three emoji and nothing else but blanks between them. */
bool text_only_emoji(struct slice text);

/* Number of bytes of the longest whole prefix with at most `count` code points. */
size_t text_prefix(struct slice text, size_t count);

/* Percent-decodes into `out` (appended); '+' is a blank if `plus`. False on a bad escape. */
bool text_unescape_url(struct buf *out, struct slice text, bool plus);

/* Percent-encodes everything but unreserved characters (RFC 3986). Appended. */
void text_escape_url(struct buf *out, struct slice text);
